// What trials prove about each (rank, layers), by measurement alone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "search/search.h"

namespace loadline {

struct Cell {
  std::int64_t lora_rank = 0;
  std::int64_t lora_layers = 0;
  std::int64_t sequence = 0;
  int checkpointing = Configuration::kNotCompared;
  [[nodiscard]] Configuration at(std::int64_t batch) const {
    return {batch, lora_rank, lora_layers, sequence, checkpointing};
  }
  friend bool operator==(const Cell&, const Cell&) = default;
};

inline Cell cell_of(const Configuration& c) {
  return {c.lora_rank, c.lora_layers, c.sequence, c.checkpointing};
}

// All cells of the grid, by checkpointing, sequence, rank, then layers.
std::vector<Cell> cells_of(const SearchSpace& space);

// a is at most b in rank, layers and sequence. Checkpointing must be the same: of it alone no order
// is taken for granted.
[[nodiscard]] constexpr bool lies_within(const Cell& a, const Cell& b) {
  return a.lora_rank <= b.lora_rank && a.lora_layers <= b.lora_layers && a.sequence <= b.sequence &&
         a.checkpointing == b.checkpointing;
}
// And in the batch: what b fits in, a fits in.
[[nodiscard]] inline bool is_dominated_by(const Configuration& a, const Configuration& b) {
  return a.batch_size <= b.batch_size && lies_within(cell_of(a), cell_of(b));
}

// Killed, timed out, stalled, crashed or diverged: recorded, but silent about memory.
[[nodiscard]] bool is_unusable(Verdict verdict);
// Interrupted, refused or bad input: no answer at all; the search ends, and may ask again later.
[[nodiscard]] bool ends_search(Verdict verdict);

// Batches up to `fits` fit and from `fails` on do not; 0 <= fits < fails <= max_batch + 1. What was
// measured at a configuration itself outweighs what another trial implies for it.
struct CellBounds {
  std::int64_t fits = 0;
  std::int64_t fails = 1;
  Basis fits_basis = Basis::kMeasured;
  Basis fails_basis = Basis::kMeasured;
  bool at_limit = false;                // fails is max_batch + 1, and nothing but the limit says so
  std::optional<std::size_t> unusable;  // the trial at `fails` that could not be used
  [[nodiscard]] bool settled() const { return fails == fits + 1; }
};

CellBounds bounds_of(const Cell& cell, const std::vector<RunTrial>& trials, std::int64_t max_batch);

// No later trial of the same configuration has an answer: a second run outweighs the first.
[[nodiscard]] bool is_current(std::size_t index, const std::vector<RunTrial>& trials);

// The pace at which speeds are compared: the median reference of the trials that others did not
// slow. Nothing where there is only one, or one of them has none or not of the same tokens: then
// speeds are compared as they were measured.
std::optional<Reference> common_pace(const std::vector<RunTrial>& trials);
// How much longer the reference took in the slowest of these trials than in the quickest: 0.2 is a
// fifth. 0 where there is no common pace.
double pace_drift(const std::vector<RunTrial>& trials);
// Tokens a second at that pace; as it was measured where there is none; where others slowed it the
// lower of both; 0 where it did not go through at a speed.
double speed_at(const std::optional<Reference>& pace, const TrialOutcome& outcome);

// Of a configuration's fastest run that others did not slow, or, where they slowed all, of the
// fastest: what disturbs a run makes it slower.
struct Speed {
  double tokens_per_second = 0;  // at the common pace
  double step_seconds = 0;       // of the same run, at the same pace
  bool is_least = false;         // others slowed all of them
};
// Nothing where no run went through at a speed.
std::optional<Speed> speed_of(const Configuration& configuration,
                              const std::vector<RunTrial>& trials);

// Others slowed its only run. So it is for the first two such configurations: some machines are
// never quiet.
[[nodiscard]] bool is_worth_repeating(const Configuration& configuration,
                                      const std::vector<RunTrial>& trials);

// The latest trial of exactly this configuration that has an answer. One that was killed, say,
// takes nothing from an earlier one, unless it was to prove the margin.
std::optional<std::size_t> trial_of(const Configuration& configuration,
                                    const std::vector<RunTrial>& trials);

}  // namespace loadline
