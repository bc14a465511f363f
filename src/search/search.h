// Which configuration to try next, and what the answers prove. Pure: no process, file or clock; it
// gets functions. How it goes about it is told in docs/search.md; in short: memory is monotone in
// batch, rank and layers, so a trial that fits proves all that it dominates and one that fails by
// memory disproves all that dominate it; the estimate chooses what to try, and settles a cell only
// after trials in two cells have confirmed it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "trial/trial.h"

namespace loadline {

struct Configuration {
  std::int64_t batch_size = 1;
  std::int64_t lora_rank = 0;
  std::int64_t lora_layers = 0;
  std::int64_t sequence = 0;  // the longest row in tokens; 0 where the search has only one
  // Activation checkpointing where the search compares both: 0 off, 1 on, else kNotCompared.
  int checkpointing = kNotCompared;
  static constexpr int kNotCompared = -1;
  friend auto operator<=>(const Configuration&, const Configuration&) = default;
};

// batch x rank x layers, and x sequence where that is compared: what `largest` is about.
[[nodiscard]] constexpr double size_of(const Configuration& c) {
  const double tokens = c.sequence > 0 ? static_cast<double>(c.sequence) : 1;
  return static_cast<double>(c.batch_size) * static_cast<double>(c.lora_rank) *
         static_cast<double>(c.lora_layers) * tokens;
}

enum class Objective : std::uint8_t { kBalanced, kLargest, kFastest };
std::string_view name_of(Objective objective);
Objective objective_from(std::string_view name);  // throws Error(kUsage) listing the three

struct SearchSpace {
  std::vector<std::int64_t> ranks;   // rising
  std::vector<std::int64_t> layers;  // rising, within the model
  std::int64_t max_batch = 64;
  std::vector<std::int64_t> sequences = {0};                       // rising; {0}: not compared
  std::vector<int> checkpointing = {Configuration::kNotCompared};  // or {0, 1}
};

struct SearchLimits {
  Bytes budget;
  double margin = 0.15;
  Objective objective = Objective::kBalanced;
};

// A trial that was run, by the search or by an earlier one whose journal was found.
struct RunTrial {
  Configuration configuration;
  int trial = 0;  // TrialSpec::id
  PredictedBytes planned;
  TrialOutcome outcome;
  // It ran under a cap of budget / (1 + margin): where it fits, the margin is a fact.
  bool under_margin = false;
  // What it was held under, which on an earlier day may have been more or less; 0: what this
  // search's limits say.
  Bytes cap = {};
};

struct Question {
  Configuration configuration;
  bool under_margin = false;
  // Run once more, as other processes slowed it and the choice may hang on its speed.
  bool for_speed = false;
};

enum class Basis : std::uint8_t { kMeasured, kDominated, kPlanned };

// For one (rank, layers), sequence and checkpointing: the largest batch that is known to fit, and
// what says so.
struct FrontierCell {
  std::int64_t lora_rank = 0;
  std::int64_t lora_layers = 0;
  std::int64_t sequence = 0;
  int checkpointing = Configuration::kNotCompared;
  std::int64_t max_batch = 0;  // 0: not even batch 1
  Basis basis = Basis::kMeasured;
  Basis next_fails = Basis::kPlanned;  // what says that max_batch + 1 does not fit
  bool at_limit = false;  // max_batch is --max-batch, or the data's rows: nothing larger was asked
  // False in an unfinished search: batches between max_batch and the first failing one are open.
  bool settled = false;
  // The trial of max_batch + 1 that was killed, timed out, stalled, crashed or diverged: nothing
  // above it was tried, and it says nothing about memory.
  std::optional<std::size_t> unusable;
  // Where a basis is kPlanned: the chance that max_batch is not the largest batch that fits.
  std::optional<double> doubt = {};
};

struct SearchResult {
  enum class Status : std::uint8_t { kComplete, kUnfinished, kNothingFits };
  Status status = Status::kNothingFits;
  std::vector<FrontierCell> frontier;  // by checkpointing, sequence, rank, then layers
  std::vector<RunTrial> trials;        // the known ones first
  // Each is a measured trial that fits; indices into `trials`. In a complete search `optimal` ran
  // under budget / (1 + margin).
  std::optional<std::size_t> optimal, balanced, largest, fastest;
  // The trial of optimal's batch + 1, where one was run. In a complete search it did not fit (or,
  // where the objective prefers a smaller batch than the largest, it may have).
  std::optional<std::size_t> next_larger;
  // What the estimate, corrected by the trials, expects of it; with no next_larger in a complete
  // search this is why: it lies at more than twice the budget, and so was not tried.
  std::optional<PredictedBytes> next_larger_planned;
  // kUnfinished: why it ended, for people; the verdict where a trial ended it (kInterrupted,
  // kBadInput, kRefused, or the last of too many unusable ones), none for the time limit.
  std::string stopped_by;
  std::optional<Verdict> stop_verdict;
};

struct ExpectedTrial {
  Configuration configuration;
  bool dies = false;  // out of memory, in its first step
  bool under_margin = false;
  friend bool operator==(const ExpectedTrial&, const ExpectedTrial&) = default;
};
// What lies ahead, as far as the estimate can tell: some ways that the search may take, each as
// likely as the others, but for the first, in which all comes as expected. Each begins with the
// next trial.
struct Outlook {
  std::size_t trials_done = 0;
  // None of them is empty; there are fewer, or none, where the search was asked to look no further.
  std::vector<std::vector<ExpectedTrial>> ways;
};

struct SearchFunctions {
  // Predicted peak bytes of a trial. Anything is survived (throwing, constant, wrong): it costs
  // trials, not the answer. Asked at most once for a configuration.
  std::function<PredictedBytes(const Configuration&)> estimate;
  // Runs one trial for real, under a cap of the budget or of budget / (1 + margin). kInterrupted,
  // kBadInput and kRefused end the search.
  std::function<RunTrial(const Question&)> run;
  std::function<std::string()> must_end;  // asked between trials: why, or ""; may be empty
  // Told before each trial; may be empty.
  std::function<void(const Outlook&)> outlook;
  // Asked between the questions of an outlook: false ends it with the ways that are whole. May be
  // empty.
  std::function<bool()> looks_further;
};

// `known` are trials of an earlier, unfinished search of the same question: they are not run again
// (except those that were interrupted, refused or had bad input). Throws Error(kUsage) when the
// space is empty, not rising or not positive.
SearchResult search(const SearchSpace& space, const SearchLimits& limits,
                    const SearchFunctions& functions, const std::vector<RunTrial>& known);

// Of measured fitting trials: largest = batch x rank x layers; fastest = useful tokens a second;
// balanced = the largest whose speed is at least 90 % of the fastest, among the largest measured
// batch of each (rank, layers): a smaller batch of a cell is neither its answer nor its yardstick.
std::optional<std::size_t> choose(const std::vector<RunTrial>& trials, Objective objective);

// The fitting trials that no other beats in both memory and speed: the least memory first.
std::vector<std::size_t> pareto_front(const std::vector<RunTrial>& trials);

// A balanced choice has at least this share of the fastest's speed.
inline constexpr double kBalancedSpeed = 0.90;

}  // namespace loadline
