#include "training/schedule.h"

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"

namespace loadline {
namespace {

LearningRateSchedule schedule_named(const std::string& name) {
  if (name == "constant") return LearningRateSchedule::kConstant;
  return name == "linear" ? LearningRateSchedule::kLinear : LearningRateSchedule::kCosine;
}

TEST(Schedule, EveryUpdateHasTheRateOfPyTorch) {
  const Json cases = read_json(LOADLINE_SOURCE_DIR "/tests/golden/training/schedules.json");
  ASSERT_EQ(cases.size(), 12U);
  for (const Json& golden : cases) {
    TrainingSettings settings;
    settings.schedule = schedule_named(golden.at("schedule"));
    settings.learning_rate = golden.at("rate");
    settings.warmup_steps = golden.at("warmup");
    settings.max_steps = golden.at("steps");
    for (std::int64_t step = 1; step <= settings.max_steps; ++step) {
      EXPECT_NEAR(learning_rate_at(settings, step),
                  golden.at("values").at(static_cast<std::size_t>(step - 1)).get<double>(), 1e-16)
          << golden.at("schedule") << ", warm-up " << settings.warmup_steps << ", step " << step;
    }
  }
}

TEST(Schedule, BeyondTheLastStepTheRateStaysAtItsEnd) {
  TrainingSettings settings;
  settings.max_steps = 10;
  settings.schedule = LearningRateSchedule::kCosine;
  EXPECT_NEAR(learning_rate_at(settings, 11), 0.0, 1e-18);
  EXPECT_NEAR(learning_rate_at(settings, 500), 0.0, 1e-18);
}

}  // namespace
}  // namespace loadline
