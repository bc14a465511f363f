// What the steps of a trial say together.
#pragma once

#include <optional>
#include <vector>

#include "trial/trial.h"

namespace loadline {

// Of the steps after the first two (caches, page faults, compiled primitives, the worst batches);
// after the first, where there are fewer than six: one step alone says little. Of all, where there
// are no more than two.
struct StepSpeed {
  double step_seconds = 0;       // median
  double tokens_per_second = 0;  // median
  // Half the interquartile range of each, relative; nothing where it is of fewer than three steps.
  std::optional<double> step_seconds_spread = {};
  std::optional<double> spread = {};  // of tokens_per_second
  std::optional<Pace> pace = {};      // where each of them has a reference of the same tokens
};
StepSpeed speed_of(const std::vector<TrialStep>& steps);
// Seconds of the longest of all steps; 0 where there is none.
double longest_step(const std::vector<TrialStep>& steps);

// With linear interpolation between ranks; `values` must not be empty, fraction in [0, 1].
double quantile(std::vector<double> values, double fraction);
// Half the interquartile range over the median; 0 where that is not positive. Not of nothing.
double relative_spread(const std::vector<double>& values);

}  // namespace loadline
