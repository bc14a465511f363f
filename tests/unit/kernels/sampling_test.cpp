#include "kernels/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

namespace loadline {
namespace {

std::int32_t draw(const std::vector<float>& logits, const SamplingSettings& settings,
                  double uniform) {
  std::vector<float> probabilities(logits.size());
  std::vector<std::int32_t> order(logits.size());
  return sample_token(logits, settings, uniform, probabilities, order);
}

// How often each token comes when `uniform` goes evenly through [0, 1).
std::map<std::int32_t, double> shares(const std::vector<float>& logits,
                                      const SamplingSettings& settings) {
  constexpr int kDraws = 10000;
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < kDraws; ++i)
    shares[draw(logits, settings, (i + 0.5) / kDraws)] += 1.0 / kDraws;
  return shares;
}

TEST(Sampling, WithoutTemperatureIsTheFirstOfTheLargest) {
  EXPECT_EQ(draw({0, 3, 1, 3}, {}, 0.99), 1);
  EXPECT_EQ(draw({-5}, {}, 0), 0);
}

TEST(Sampling, FollowsTheSoftmaxAtItsTemperature) {
  const std::vector<float> logits{0, 2, -1};
  for (const double temperature : {0.5, 1.0, 3.0}) {
    const auto seen = shares(logits, {.temperature = temperature});
    double sum = 0;
    for (const float l : logits) sum += std::exp(l / temperature);
    for (std::int32_t id = 0; id < 3; ++id) {
      EXPECT_NEAR(seen.at(id), std::exp(logits[static_cast<std::size_t>(id)] / temperature) / sum,
                  2e-4);
    }
  }
}

TEST(Sampling, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<float> logits{std::log(0.1F), std::log(0.5F), std::log(0.15F), std::log(0.25F)};
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.49}).size(), 1U);
  const auto two = shares(logits, {.temperature = 1, .top_p = 0.7});
  ASSERT_EQ(two.size(), 2U);
  EXPECT_NEAR(two.at(1), 2.0 / 3, 2e-4);
  EXPECT_NEAR(two.at(3), 1.0 / 3, 2e-4);
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 1}).size(), 4U);
}

TEST(Sampling, TopKComesBeforeTopP) {
  const std::vector<float> logits{std::log(0.1F), std::log(0.5F), std::log(0.15F), std::log(0.25F)};
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_k = 3}).size(), 3U);
  // Of the two that top_k leaves, the first has two thirds.
  EXPECT_EQ(shares(logits, {.temperature = 1, .top_p = 0.65, .top_k = 2}).size(), 1U);
}

TEST(Sampling, ManyLikelyTokensAreSortedInParts) {
  const std::vector<float> logits(3000, 1.0F);
  const SamplingSettings half{.temperature = 1, .top_p = 0.5};
  EXPECT_EQ(draw(logits, half, 0), 0);
  EXPECT_EQ(draw(logits, half, 0.4), 600);
  EXPECT_EQ(draw(logits, half, 0.9999), 1499);
}

TEST(Sampling, LogitsThatAreNoNumbersGiveNoToken) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(draw({1, kNan}, {}, 0), -1);
  EXPECT_EQ(draw({kNan, 1}, {.temperature = 1}, 0), -1);
  EXPECT_EQ(draw({-kInfinity, -kInfinity}, {}, 0), -1);
  EXPECT_EQ(draw({-kInfinity, 2}, {.temperature = 1}, 0.999), 1);
}

}  // namespace
}  // namespace loadline
