// A small finished search, for the document and the terminal.
#pragma once

#include "search/search.h"
#include "trial/protocol.h"

namespace loadline::testing {

inline RunTrial example_trial(int id, Configuration configuration, Verdict verdict, Bytes peak,
                              double step_seconds, double speed) {
  RunTrial trial;
  trial.configuration = configuration;
  trial.trial = id;
  trial.planned = {peak.scaled(0.99)};
  trial.outcome.verdict = verdict;
  trial.outcome.peak = MeasuredBytes{peak};
  trial.outcome.step_seconds = step_seconds;
  trial.outcome.tokens_per_second = speed;
  trial.outcome.seconds = 20;
  trial.outcome.steps = {
      {.step = 1, .loss = 2.5, .seconds = 2, .tokens = 812, .peak = peak, .anonymous = peak}};
  trial.outcome.coverage = "covers 100 % of batches, longest row 812 tokens";
  if (verdict == Verdict::kExceedsBudget) {
    trial.outcome.cause = "adjusted peak 20.21 GiB is above the budget of 20.00 GiB";
  }
  return trial;
}

inline SearchLimits example_limits() { return {.budget = 20480_MiB, .margin = 0.15}; }

// Ranks 64 and 128, layers 16 and 24: the optimum is batch 17 at 128 x 16.
inline SearchResult example_result() {
  SearchResult result;
  result.status = SearchResult::Status::kComplete;
  result.trials = {
      example_trial(1, {1, 64, 16}, Verdict::kFits, 14535_MiB, 2.0, 410),
      example_trial(2, {17, 128, 16}, Verdict::kFits, 16086_MiB, 3.2, 512),
      example_trial(3, {18, 128, 16}, Verdict::kExceedsBudget, 18000_MiB, 3.3, 511),
      example_trial(4, {18, 64, 16}, Verdict::kFits, 16500_MiB, 3.0, 530),
  };
  result.frontier = {
      {.lora_rank = 64,
       .lora_layers = 16,
       .max_batch = 18,
       .at_limit = true,
       .settled = true,
       .unusable = {}},
      {.lora_rank = 64,
       .lora_layers = 24,
       .max_batch = 12,
       .basis = Basis::kPlanned,
       .settled = true,
       .unusable = {},
       .doubt = 0.012},
      {.lora_rank = 128,
       .lora_layers = 16,
       .max_batch = 17,
       .next_fails = Basis::kMeasured,
       .settled = true,
       .unusable = {}},
      {.lora_rank = 128,
       .lora_layers = 24,
       .max_batch = 11,
       .basis = Basis::kPlanned,
       .settled = true,
       .unusable = {},
       .doubt = 0.0004},
  };
  result.optimal = 1;
  result.balanced = 1;
  result.largest = 1;
  result.fastest = 3;
  result.next_larger = 2;
  return result;
}

}  // namespace loadline::testing
