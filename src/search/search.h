// Which configuration to try next, and what the answers prove. Pure: no process, file or clock; it
// gets functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "trial/trial.h"

namespace loadline {

struct Configuration {
  std::int64_t batch_size = 1;
  std::int64_t lora_rank = 0;
  std::int64_t lora_layers = 0;
  friend auto operator<=>(const Configuration&, const Configuration&) = default;
};

enum class Objective : std::uint8_t { kBalanced, kLargest, kFastest };
std::string_view name_of(Objective objective);
Objective objective_from(std::string_view name);  // throws Error(kUsage) listing the three

struct SearchSpace {
  std::vector<std::int64_t> ranks;   // rising
  std::vector<std::int64_t> layers;  // rising, within the model
  std::int64_t max_batch = 64;
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
};

enum class Basis : std::uint8_t { kMeasured, kDominated, kPlanned };

// For one (rank, layers): the largest batch that is known to fit, and what says so.
struct FrontierCell {
  std::int64_t lora_rank = 0;
  std::int64_t lora_layers = 0;
  std::int64_t max_batch = 0;  // 0: not even batch 1
  Basis basis = Basis::kMeasured;
  Basis next_fails = Basis::kPlanned;  // what says that max_batch + 1 does not fit
  bool at_limit = false;  // max_batch is --max-batch, or the data's rows: nothing larger was asked
};

struct SearchResult {
  enum class Status : std::uint8_t { kComplete, kUnfinished, kNothingFits };
  Status status = Status::kNothingFits;
  std::vector<FrontierCell> frontier;
  std::vector<RunTrial> trials;
  // Each is a measured trial that fits; indices into `trials`.
  std::optional<std::size_t> optimal, largest, fastest;
  std::optional<std::size_t>
      next_larger;  // the failed trial of optimal's batch + 1, where one was run
};

struct SearchFunctions {
  std::function<PredictedBytes(const Configuration&)> estimate;
  // Runs one trial for real. kInterrupted, kBadInput and kRefused end the search.
  std::function<RunTrial(const Configuration&)> run;
  std::function<bool()> out_of_time;  // asked between trials
};

// `known` are trials of an earlier, unfinished search of the same question: they are not run again.
SearchResult search(const SearchSpace& space, const SearchLimits& limits,
                    const SearchFunctions& functions, const std::vector<RunTrial>& known);

// Of measured fitting trials: largest = batch x rank x layers; fastest = useful tokens a second;
// balanced = the largest whose speed is at least 90 % of the fastest.
std::optional<std::size_t> choose(const std::vector<RunTrial>& trials, Objective objective);

}  // namespace loadline
