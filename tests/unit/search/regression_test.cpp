#include "search/regression.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

Belief line() { return {.mean = {0, 0}, .deviation = {10, 10}, .rest = 0.001, .noise = 0.001}; }

Observation seen(double x, double y) {
  return {.point = {.features = {1, x}, .place = {x, 0}}, .value = y};
}

Point at(double x) { return {.features = {1, x}, .place = {x, 0}}; }

TEST(Regression, FindsALineAndDoubtsItMoreTheFartherItReaches) {
  const Regression model = fitted(line(), {seen(0, 1), seen(0.5, 2), seen(1, 3)});
  EXPECT_NEAR(model.at(at(0.25)).mean, 1.5, 0.01);
  EXPECT_NEAR(model.at(at(3)).mean, 7, 0.05);
  EXPECT_LT(model.at(at(0.25)).deviation, model.at(at(3)).deviation);
  EXPECT_GT(model.at(at(0.25)).chance_below(1.6), 0.99);
  EXPECT_LT(model.at(at(0.25)).chance_below(1.4), 0.01);
}

TEST(Regression, IsAsUncertainAsItsBeliefBeforeAnythingIsSeen) {
  const Regression model = fitted(line(), {});
  EXPECT_EQ(model.at(at(0)).mean, 0);
  EXPECT_NEAR(model.at(at(0)).deviation, 10, 0.01);
}

TEST(Regression, ScatterIsLearntAsNoise) {
  const Regression smooth =
      fitted(line(), {seen(0, 1), seen(0.3, 1.6), seen(0.6, 2.2), seen(1, 3)});
  const Regression rough =
      fitted(line(), {seen(0, 1.02), seen(0.3, 1.57), seen(0.6, 2.24), seen(1, 2.97)});
  EXPECT_GT(rough.at(at(0.5)).deviation, 5 * smooth.at(at(0.5)).deviation);
}

TEST(Regression, TheSamePlaceSeenTwiceIsNoFault) {
  const Regression model = fitted(line(), {seen(0.5, 2), seen(0.5, 2), seen(0.5, 2)});
  EXPECT_NEAR(model.at(at(0.5)).mean, 2, 0.01);
}

}  // namespace
}  // namespace loadline
