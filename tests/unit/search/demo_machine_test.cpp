// The search on the demo as a machine measured it, under many memory limits.
#include "unit/search/demo_machine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>

namespace loadline {
namespace {

constexpr double kPeakNoise = 0.002;   // either way, as runs of one configuration differ there
constexpr double kSpeedNoise = 0.035;  // the same at one pace
constexpr double kSurelyFast = kBalancedSpeed + kSpeedNoise;

// One day on that machine: peaks and speeds as they came out then.
class Day {
 public:
  Day(Bytes budget, Objective objective, std::uint64_t seed) : random_(seed) {
    limits_.budget = budget;
    limits_.objective = objective;
    for (const testing::Measured& one : testing::kDemoMachine) {
      const double peak = one.peak_kib * 1024 * (1 + kPeakNoise * chance());
      measured_[one.configuration] = {one.planned_kib * 1024, peak, one.speed};
    }
  }

  SearchResult search() {
    SearchFunctions functions;
    functions.estimate = [&](const Configuration& c) {
      return PredictedBytes{Bytes{static_cast<std::uint64_t>(measured_.at(c).planned)}};
    };
    functions.run = [&](const Question& question) { return run(question); };
    return loadline::search({{8, 16, 32, 64}, {1, 2, 4, 6}, 6}, limits_, functions, {});
  }

  // The largest of all that fit; where `share` is above 0 of those alone that are the largest batch
  // of their rank and layers and have this share of the fastest's speed.
  [[nodiscard]] double best_size(double share) const {
    std::map<std::pair<std::int64_t, std::int64_t>, Configuration> largest;
    double fastest = 0;
    for (const auto& [c, one] : measured_) {  // by rising batch
      if (fits(one.peak)) largest[{c.lora_rank, c.lora_layers}] = c;
    }
    for (const auto& [cell, c] : largest) fastest = std::max(fastest, measured_.at(c).speed);
    double size = 0;
    for (const auto& [cell, c] : largest) {
      if (measured_.at(c).speed >= share * fastest) size = std::max(size, size_of(c));
    }
    return size;
  }

 private:
  struct One {
    double planned = 0, peak = 0, speed = 0;
  };

  double chance() { return std::uniform_real_distribution<double>(-1, 1)(random_); }
  [[nodiscard]] bool fits(double peak) const {
    return adjusted(Bytes{static_cast<std::uint64_t>(peak)}, limits_.margin) <= limits_.budget;
  }

  RunTrial run(const Question& question) {
    const One& one = measured_.at(question.configuration);
    const Bytes cap =
        question.under_margin ? cap_under_margin(limits_.budget, limits_.margin) : limits_.budget;
    const Bytes peak{static_cast<std::uint64_t>(one.peak)};
    RunTrial trial;
    trial.configuration = question.configuration;
    trial.under_margin = question.under_margin;
    trial.outcome.verdict = fits(one.peak) ? Verdict::kFits : Verdict::kExceedsBudget;
    if (peak > cap) trial.outcome.verdict = Verdict::kOutOfMemory;
    trial.outcome.peak = MeasuredBytes{std::min(peak, cap)};
    trial.outcome.tokens_per_second = one.speed * (1 + kSpeedNoise * chance());
    trial.outcome.step_seconds = 1;
    return trial;
  }

  SearchLimits limits_;
  std::mt19937_64 random_;
  std::map<Configuration, One> measured_;
};

struct Seen {
  int searches = 0;
  int above_six = 0;
  int smaller = 0;  // than 97 % of the best that is surely fast enough
  std::size_t trials = 0, most = 0;
};

Seen searches(Objective objective) {
  Seen seen;
  for (std::uint64_t mib = 70; mib <= 140; mib += 5) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      Day day(Bytes{mib << 20}, objective, seed);
      const SearchResult result = day.search();
      EXPECT_EQ(result.status, SearchResult::Status::kComplete);
      if (!result.optimal) continue;
      const double best = day.best_size(objective == Objective::kLargest ? 0 : kSurelyFast);
      const double size = size_of(result.trials[*result.optimal].configuration);
      ++seen.searches;
      seen.smaller += size < 0.97 * best ? 1 : 0;
      seen.above_six += result.trials.size() > 6 ? 1 : 0;
      seen.trials += result.trials.size();
      seen.most = std::max(seen.most, result.trials.size());
    }
  }
  std::printf("%d searches: %.1f trials, most %zu, above 6 in %d; smaller in %d\n", seen.searches,
              static_cast<double>(seen.trials) / seen.searches, seen.most, seen.above_six,
              seen.smaller);
  return seen;
}

TEST(SearchOnTheDemo, FindsTheLargestInSixTrials) {
  const Seen seen = searches(Objective::kLargest);
  EXPECT_EQ(seen.searches, 60);
  EXPECT_EQ(seen.above_six, 0);
  EXPECT_EQ(seen.smaller, 0);
}

// Above six where several cells lie within the noise of the budget.
TEST(SearchOnTheDemo, FindsTheBalancedOneInSixTrialsAsARule) {
  const Seen seen = searches(Objective::kBalanced);
  EXPECT_EQ(seen.searches, 60);
  EXPECT_LE(seen.above_six, 3);
  EXPECT_LE(seen.most, 7U);
  EXPECT_LE(seen.smaller, 1);
}

}  // namespace
}  // namespace loadline
