#include "trial/life_signs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loadline {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LifeSignsTest : public testing::Test {
 protected:
  // `cores` busy and `memory` as the peak, for a while; `ready` is the share of it in which the
  // worker could have run and others did; `read` comes each second.
  void live(seconds duration, double cores, Bytes memory = 10_MiB, double ready = 0,
            Bytes read = {}) {
    for (int i = 0; i < duration.count() * 10; ++i) {
      clock_.advance(milliseconds(100));
      cpu_ += cores * 0.1;
      waited_ += ready * 0.1;
      if (i % 10 == 0) read_ += read;
      life_.sample(clock_.now(), cpu_, waited_, memory, read_);
    }
  }
  [[nodiscard]] bool stalled() const { return life_.stalled(clock_.now()).has_value(); }

  FakeClock clock_;
  LifeSigns life_{TrialSpec{}, seconds(60), clock_.now()};
  double cpu_ = 0;
  double waited_ = 0;
  Bytes read_;
};

TEST_F(LifeSignsTest, QuietAndIdleForAMinuteIsStalled) {
  live(seconds(59), 0);
  EXPECT_FALSE(stalled());
  live(seconds(3), 0);
  EXPECT_TRUE(stalled());
  EXPECT_THAT(*life_.stalled(clock_.now()), testing::HasSubstr("no sign of life"));
}

TEST_F(LifeSignsTest, ASlowFirstStepThatComputesIsNot) {
  live(seconds(3600), 1.5);
  EXPECT_FALSE(stalled());
}

TEST_F(LifeSignsTest, ALoadThatFillsMemoryIsNot) {
  for (std::uint64_t mib = 20; mib < 2000; mib += 20) live(seconds(5), 0.01, Bytes{mib << 20});
  EXPECT_FALSE(stalled());
}

// As the real one: the memory was touched before the first byte came.
TEST_F(LifeSignsTest, ALoadFromASlowDiskIntoMemoryThatIsThereIsNot) {
  live(seconds(1200), 0.03, 10_GiB, 0, 50_MiB);
  EXPECT_FALSE(stalled());
  live(seconds(62), 0.03, 10_GiB);
  EXPECT_TRUE(stalled());
}

TEST_F(LifeSignsTest, ALookAtSmallFilesAgainAndAgainIsNoLife) {
  live(seconds(62), 0.03, 10_MiB, 0, 4_KiB);
  EXPECT_TRUE(stalled());
}

// Ctrl-Z, a frozen container, a suspended laptop: the trial stood still as we did.
TEST_F(LifeSignsTest, TimeInWhichNobodyLookedDoesNotCount) {
  live(seconds(30), 0);
  clock_.advance(seconds(1000));
  live(seconds(20), 0);
  EXPECT_FALSE(stalled());
  live(seconds(12), 0);
  EXPECT_TRUE(stalled());
}

// Seen: a first step beside a build that had both cores was called stalled, with "is the machine
// swapping?".
TEST_F(LifeSignsTest, AWorkerThatGetsNoCoreIsNot) {
  live(seconds(600), 0.02, 10_MiB, 0.9);
  EXPECT_FALSE(stalled());
  live(seconds(62), 0.02);
  EXPECT_TRUE(stalled());
}

TEST_F(LifeSignsTest, BetweenStepsTimeWithoutACoreDoesNotCount) {
  life_.event(clock_.now());
  life_.step_took(12);
  life_.set_stepping(true);
  live(seconds(236), 0.5, 10_MiB, 0.5);
  EXPECT_FALSE(stalled());
  live(seconds(8), 0.5, 10_MiB, 0.5);
  EXPECT_TRUE(stalled());
}

TEST_F(LifeSignsTest, ThrashingIsStalled) {
  live(seconds(62), 0.03);
  EXPECT_TRUE(stalled());
}

TEST_F(LifeSignsTest, AStepMayTakeTenTimesTheLongest) {
  life_.event(clock_.now());
  life_.step_took(12);
  life_.set_stepping(true);
  live(seconds(119), 2);
  EXPECT_FALSE(stalled());
  live(seconds(2), 2);
  EXPECT_TRUE(stalled());
  EXPECT_THAT(*life_.stalled(clock_.now()), testing::HasSubstr("longest took 12.0 s"));
}

TEST_F(LifeSignsTest, AnEvaluationMayTakeLongerThanSteps) {
  life_.event(clock_.now());
  life_.step_took(1);
  life_.set_stepping(false);
  live(seconds(600), 1);
  EXPECT_FALSE(stalled());
}

TEST_F(LifeSignsTest, APredictionCountsFromTheStart) {
  TrialSpec spec;
  spec.predicted_step = seconds(30);
  LifeSigns predicted(spec, seconds(60), clock_.now());
  predicted.set_stepping(true);
  clock_.advance(seconds(299));
  EXPECT_FALSE(predicted.stalled(clock_.now()).has_value());
  clock_.advance(seconds(2));
  EXPECT_TRUE(predicted.stalled(clock_.now()).has_value());
}

}  // namespace
}  // namespace loadline
