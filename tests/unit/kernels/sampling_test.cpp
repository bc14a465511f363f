#include "kernels/sampling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
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
                                      const SamplingSettings& settings, int draws = 10000) {
  std::map<std::int32_t, double> shares;
  for (int i = 0; i < draws; ++i) shares[draw(logits, settings, (i + 0.5) / draws)] += 1.0 / draws;
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

// All sorted, as the definition has it: the ids that are kept, and their mass.
std::map<std::int32_t, double> kept_by_sorting(const std::vector<float>& logits,
                                               const SamplingSettings& settings) {
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto logit = [&](std::int32_t id) { return logits[static_cast<std::size_t>(id)]; };
  std::ranges::sort(order, [&](std::int32_t a, std::int32_t b) {
    return logit(a) != logit(b) ? logit(a) > logit(b) : a < b;
  });
  if (settings.top_k > 0) order.resize(static_cast<std::size_t>(settings.top_k));
  const auto weight = [&](std::int32_t id) {
    return std::exp(static_cast<double>(logit(id)) / settings.temperature);
  };
  double total = 0;
  for (const std::int32_t id : order) total += weight(id);
  std::map<std::int32_t, double> kept;
  double mass = 0;
  for (const std::int32_t id : order) {
    if (mass >= settings.top_p * total) break;
    kept[id] = weight(id);
    mass += weight(id);
  }
  for (auto& [id, share] : kept) share /= mass;
  return kept;
}

TEST(Sampling, HasTheSharesOfASortedVocabularyWhateverIsCut) {
  std::vector<float> logits;
  unsigned state = 1;
  for (int i = 0; i < 200; ++i) {
    state = state * 1664525U + 1013904223U;
    logits.push_back(static_cast<float>((state >> 16) % 97) / 20);  // with some that are equal
  }
  for (const double temperature : {0.5, 3.0}) {
    for (const double top_p : {0.001, 0.2, 0.5, 0.913, 0.9999, 1.0}) {
      for (const std::int64_t top_k : {0, 2, 30}) {
        const SamplingSettings settings{.temperature = temperature, .top_p = top_p, .top_k = top_k};
        const auto expected = kept_by_sorting(logits, settings);
        const auto seen = shares(logits, settings, 2000);
        for (const auto& [id, share] : seen) EXPECT_TRUE(expected.contains(id)) << id;
        for (const auto& [id, share] : expected) {
          const auto found = seen.find(id);
          EXPECT_NEAR(found == seen.end() ? 0.0 : found->second, share, 1e-3)
              << id << ": temperature " << temperature << ", " << top_p << ", " << top_k;
        }
      }
    }
  }
}

TEST(Sampling, AmongManyEquallyLikelyTokensTheEarlierAreKept) {
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
