#include "training/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace loadline {
namespace {

// What is left of the rate when `progress` of the steps after the warm-up are done.
double decay(LearningRateSchedule schedule, double progress) {
  switch (schedule) {
    case LearningRateSchedule::kConstant:
      return 1.0;
    case LearningRateSchedule::kLinear:
      return std::max(0.0, 1.0 - progress);
    case LearningRateSchedule::kCosine:
      return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
  }
  return 1.0;
}

}  // namespace

double learning_rate_at(const TrainingSettings& settings, std::int64_t step) {
  const std::int64_t done = step - 1;
  if (done < settings.warmup_steps) {
    return settings.learning_rate * static_cast<double>(done) /
           static_cast<double>(settings.warmup_steps);
  }
  const auto after = static_cast<double>(done - settings.warmup_steps);
  const auto span =
      static_cast<double>(std::max<std::int64_t>(1, settings.max_steps - settings.warmup_steps));
  return settings.learning_rate * decay(settings.schedule, std::min(1.0, after / span));
}

}  // namespace loadline
