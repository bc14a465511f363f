// Memory in blocks, and what an interval says.
#include "search/blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "search/hypotheses.h"
#include "search/regression.h"
#include "search/truncated.h"

namespace loadline {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Blocks, ASizeIsFoundFromPeaksThatAreItsMultiples) {
  const std::vector<double> peaks = {0.3801, 0.6598, 0.7601, 0.9199, 1.0401, 1.1002};
  const auto likely = likely_blocks(peaks, 1, 2);
  ASSERT_FALSE(likely.empty());
  EXPECT_NEAR(likely[0].size, 0.02, 1e-5);
  EXPECT_GT(likely[0].log_support, 5);
  EXPECT_LT(likely[0].noise, 5e-4);
}

// One by one there would be 200 million of them here.
TEST(Blocks, ThatTheDoubtHidesAreNotToldApart) {
  const Belief belief{.mean = {0.9}, .deviation = {0.1}, .noise = 0.01};
  const Hypothesis smooth{.model = std::make_shared<Regression>(belief, std::vector<Observation>{}),
                          .blocks = {}};
  Hypothesis fine = smooth;
  fine.blocks = {.size = 1e-8, .noise = 1e-4, .log_support = 0};
  const Point point{.features = {1}};
  EXPECT_NEAR(foreseen(point, fine).chance, foreseen(point, smooth).chance, 1e-6);
  EXPECT_NEAR(foreseen(point, fine).load.mean, 0.9, 1e-6);
}

TEST(Blocks, TwoPeaksAndPeaksAnywhereAreNoEvidence) {
  EXPECT_TRUE(likely_blocks({0.5, 1.0}, 1, 2).empty());
  std::mt19937_64 random(5);
  int believed = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<double> peaks;
    for (int i = 0; i < 8; ++i) {
      peaks.push_back(std::uniform_real_distribution<double>(0.3, 1.2)(random));
    }
    for (const Blocks& blocks : likely_blocks(peaks, 1, 1)) believed += blocks.log_support > 3;
  }
  EXPECT_LE(believed, 5);
}

TEST(Blocks, PeaksThatWereForeseenAnywaySayLittle) {
  const std::vector<double> peaks = {0.98, 0.98, 0.98, 1.0};
  const auto wide = likely_blocks(peaks, 1, 1);
  const auto narrow = likely_blocks(peaks, 0.004, 1);
  ASSERT_FALSE(wide.empty());
  EXPECT_TRUE(narrow.empty() || narrow[0].log_support < wide[0].log_support);
}

// Against the sum over a fine grid.
TEST(Truncated, HasTheMomentsOfWhatLiesBetweenTheBounds) {
  const double bounds[][2] = {{-1, 2}, {0.5, 0.6}, {-kInfinity, 0.3}, {1.5, kInfinity}, {-9, 9}};
  for (const auto& [low, high] : bounds) {
    double weight = 0, first = 0, second = 0;
    constexpr double kStep = 1e-4;
    for (double x = std::fmax(low, -12) + kStep / 2; x < std::fmin(high, 12); x += kStep) {
      const double density = std::exp(-0.5 * (x - 0.2) * (x - 0.2) / 0.49);
      weight += density;
      first += density * x;
      second += density * x * x;
    }
    const Truncated inside = truncated(0.2, 0.49, low, high);
    const double mean = first / weight;
    EXPECT_NEAR(inside.mean, mean, 1e-3);
    EXPECT_NEAR(inside.variance, second / weight - mean * mean, 1e-3);
    EXPECT_NEAR(std::exp(inside.log_chance),
                weight * kStep / std::sqrt(2 * 3.14159265358979 * 0.49), 1e-3);
  }
}

TEST(Truncated, FarOutTheNearerBoundDecides) {
  const Truncated above = truncated(0, 1, 20, kInfinity);
  EXPECT_NEAR(above.mean, 20.05, 0.01);
  const Truncated below = truncated(0, 1, -31, -30);
  EXPECT_NEAR(below.mean, -30.03, 0.01);
  EXPECT_LT(below.log_chance, -400);
}

// A line that was only ever seen rounded up to multiples of 0.1.
TEST(Regression, FindsALineFromIntervalsAlone) {
  const Belief belief{.mean = {0, 0}, .deviation = {2, 2}, .rest = 1e-4, .noise = 1e-4};
  const auto line = [](double x) { return 0.23 + 0.71 * x; };
  std::vector<Observation> seen;
  for (double x = 0; x <= 1; x += 0.05) {
    Observation one{.point = {.features = {1, x}, .place = {x, 0}}};
    one.high = std::ceil(line(x) / 0.1) * 0.1;
    one.low = one.high - 0.1;
    seen.push_back(one);
  }
  const Regression regression(belief, seen);
  for (const double x : {0.1, 0.52, 0.97}) {
    const Expectation at = regression.at({.features = {1, x}, .place = {x, 0}});
    EXPECT_NEAR(at.mean, line(x), 0.02);
    EXPECT_NEAR(at.mean, line(x), 3 * at.deviation);
    EXPECT_LT(at.deviation, 0.02);
  }
}

TEST(Regression, APeakThatWasNeverSeenOnlyRaisesWhatIsExpected) {
  const Belief belief{.mean = {0, 1}, .deviation = {0.2, 0.2}, .rest = 1e-3, .noise = 1e-3};
  Observation beyond{.point = {.features = {1, 1}, .place = {1, 0}}};
  beyond.low = 1.15;
  beyond.high = Observation::kUnbounded;
  const Expectation before = Regression(belief, {}).at(beyond.point);
  const Expectation after = Regression(belief, {beyond}).at(beyond.point);
  EXPECT_GT(after.mean, 1.15);
  EXPECT_LT(after.mean, 1.6);
  EXPECT_LT(after.deviation, before.deviation);
  EXPECT_GT(after.deviation, 0.03);
}

TEST(Regression, SharedDoubtIsWholeAtTheSamePointAndNoneBetweenStrangers) {
  const Belief belief{.mean = {0, 0}, .deviation = {1, 1}, .rest = 0, .noise = 1e-3};
  const Regression regression(belief, {});
  const Point a{.features = {1, 0}, .place = {0, 0}};
  const Point b{.features = {0, 1}, .place = {1, 1}};
  EXPECT_NEAR(regression.shared_doubt(a, a), 1, 1e-3);
  EXPECT_NEAR(regression.shared_doubt(a, b), 0, 1e-6);
}

}  // namespace
}  // namespace loadline
