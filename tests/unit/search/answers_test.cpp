// Questions answered from trials that were run, and how they are marked.
#include "search/answers.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <stdexcept>

#include "base/error.h"
#include "unit/search/landscape.h"

namespace loadline {
namespace {

using testing::Landscape;

struct Asked {
  Landscape land;
  SearchLimits limits{.budget = 1000_MiB};
  std::vector<RunTrial> trials;
  Estimates estimates;

  explicit Asked(bool has_plan = true)
      : estimates([this, has_plan](const Configuration& c) {
          if (!has_plan) throw std::runtime_error("the model is gone");
          return PredictedBytes{land.peak(c)};
        }) {
    for (const Configuration& c :
         {Configuration{2, 8, 4}, Configuration{12, 8, 4}, Configuration{8, 8, 16},
          Configuration{8, 64, 4}, Configuration{5, 64, 16}, Configuration{4, 16, 8},
          Configuration{9, 32, 8}}) {
      trials.push_back(land.run(c, limits));
    }
  }
  [[nodiscard]] Answers answers() {
    return {estimates, limits, trials,
            [](const Configuration& c) { return static_cast<double>(c.batch_size); }};
  }
  void expect_near(const Configuration& c, Support support, double share) {
    const Answer answer = answers().peak(c);
    EXPECT_EQ(answer.support, support);
    const auto truth = static_cast<double>(land.peak(c).count);
    EXPECT_NEAR(answer.value / truth, 1, share);
    EXPECT_LE(answer.low, truth);
    EXPECT_GE(answer.high, truth);
  }
};

TEST(Answers, SayWhetherTheyWereMeasuredInterpolatedOrExtrapolated) {
  for (const bool has_plan : {true, false}) {
    Asked asked(has_plan);
    asked.expect_near({5, 64, 16}, Support::kMeasured, 0);
    asked.expect_near({6, 32, 12}, Support::kInterpolated, 0.01);
    asked.expect_near({24, 8, 4}, Support::kExtrapolated, 0.02);
    asked.expect_near({4, 128, 8}, Support::kExtrapolated, 0.02);
  }
}

TEST(Answers, TheLargestOfAPartIsTheLargestThatFits) {
  Asked asked;
  const Answers answers = asked.answers();
  const auto fits = [&](const Configuration& c) { return answers.fits(c); };
  const std::int64_t batch = answers.largest({1, 32, 8}, Part::kBatch, 1000, fits);
  ASSERT_GT(batch, 9);
  EXPECT_TRUE(asked.land.run(Configuration{batch, 32, 8}, asked.limits).outcome.fits());
  EXPECT_FALSE(asked.land.run(Configuration{batch + 1, 32, 8}, asked.limits).outcome.fits());
  EXPECT_EQ(answers.largest({1, 8, 4}, Part::kBatch, 3, fits), 3);
  EXPECT_EQ(answers.largest({1000, 8, 4}, Part::kRank, 64, fits), 0);
}

// A run whose model is gone, with a trial or two: nothing is known of what a part adds.
struct OfFewTrials : Asked {
  OfFewTrials(const std::vector<Configuration>& fit, const std::vector<Configuration>& died)
      : Asked(false) {
    trials.clear();
    for (const Configuration& c : fit) add(c, Verdict::kFits);
    for (const Configuration& c : died) add(c, Verdict::kOutOfMemory);
  }
  void add(const Configuration& c, Verdict verdict) {
    trials.push_back(land.run(c, limits));
    trials.back().outcome.verdict = verdict;
    if (verdict != Verdict::kFits) trials.back().outcome.peak.reset();
  }
};

TEST(Answers, AFitProvesAllThatNeedsNoMore) {
  OfFewTrials asked({{8, 16, 6}}, {});
  const Answers answers = asked.answers();
  for (const Configuration& c : {Configuration{8, 16, 2}, {8, 4, 6}, {1, 16, 6}}) {
    EXPECT_TRUE(answers.fits(c));
    EXPECT_LE(answers.peak(c).high, static_cast<double>(asked.land.peak({8, 16, 6}).count));
    EXPECT_LE(answers.peak(c).value, answers.peak(c).high);
  }
  EXPECT_FALSE(answers.fits({9, 16, 6}));
  const auto fits = [&](const Configuration& c) { return answers.fits(c); };
  EXPECT_EQ(answers.largest({3, 16, 6}, Part::kBatch, 1000, fits), 8);
  EXPECT_EQ(answers.largest({8, 16, 3}, Part::kLayers, 1000, fits), 6);
}

TEST(Answers, NothingNeedsLessThanWhatIsSmallerWasMeasuredToNeed) {
  OfFewTrials asked({{8, 16, 6}}, {});
  const Answers answers = asked.answers();
  for (const Configuration& c : {Configuration{9, 16, 6}, {8, 17, 6}, {8, 16, 7}, {64, 64, 16}}) {
    const Answer peak = answers.peak(c);
    EXPECT_GE(peak.low, static_cast<double>(asked.land.peak({8, 16, 6}).count));
    EXPECT_GE(peak.value, peak.low);
    EXPECT_GE(peak.high, peak.value);
  }
  EXPECT_LT(answers.peak({7, 64, 16}).low, static_cast<double>(asked.land.peak({8, 16, 6}).count));
}

TEST(Answers, WhatDiedHeldAtLeastWhatItsPeakSays) {
  OfFewTrials asked({{2, 16, 6}}, {{4, 16, 6}});
  asked.trials.back().outcome.peak = MeasuredBytes{1100_MiB};
  for (const std::int64_t batch : {4, 5}) {
    EXPECT_GE(asked.answers().peak({batch, 16, 6}).low, static_cast<double>((1100_MiB).count));
  }
}

// By noise the smaller one needed more.
TEST(Answers, BetweenTrialsThatContradictEachOtherTheIntervalKeepsItsOrder) {
  OfFewTrials asked({}, {});
  for (const auto& [batch, peak] : {std::pair{4, 501_MiB}, {6, 500_MiB}}) {
    asked.add({batch, 16, 6}, Verdict::kFits);
    asked.trials.back().outcome.peak = MeasuredBytes{peak};
  }
  const Answer peak = asked.answers().peak({5, 16, 6});
  EXPECT_LE(peak.low, peak.value);
  EXPECT_LE(peak.value, peak.high);
  EXPECT_LE(peak.high, static_cast<double>((500_MiB).count));
}

TEST(Answers, WhatRanOutOfMemoryDisprovesAllThatNeedsNoLess) {
  OfFewTrials asked({{8, 16, 6}}, {{9, 16, 6}});
  const Answers answers = asked.answers();
  for (const Configuration& c : {Configuration{9, 16, 6}, {16, 16, 6}, {9, 32, 6}, {9, 16, 7}}) {
    EXPECT_TRUE(answers.fails(c));
    EXPECT_FALSE(answers.fits(c));
  }
  EXPECT_FALSE(answers.fails({9, 8, 6}));
  EXPECT_FALSE(answers.fails({8, 32, 6}));
}

TEST(Answers, WhatWasMeasuredOutweighsWhatOthersImply) {
  OfFewTrials asked({{8, 16, 6}, {10, 16, 6}}, {{9, 16, 6}, {4, 8, 6}});
  asked.trials.back().outcome.verdict = Verdict::kKilled;
  const Answers answers = asked.answers();
  EXPECT_FALSE(answers.fits({9, 16, 6}));
  EXPECT_FALSE(answers.fits({4, 8, 6}));
  EXPECT_TRUE(answers.fits({10, 16, 6}));
  EXPECT_FALSE(answers.fails({10, 16, 6}));
  const auto fits = [&](const Configuration& c) { return answers.fits(c); };
  EXPECT_EQ(answers.largest({4, 16, 6}, Part::kRank, 1000, fits), 16) << "not 7, below the killed";
}

// Rows of exactly so many tokens are more, or fewer, than those of the run that are that long.
TEST(Answers, NothingIsProvenForASequenceThatTheRunDidNotHave) {
  OfFewTrials asked({{8, 16, 6, 512}}, {{9, 16, 6, 512}});
  EXPECT_FALSE(asked.answers().fails({9, 16, 6, 513}));
  EXPECT_TRUE(asked.answers().fits({8, 16, 2, 512}));
  EXPECT_FALSE(asked.answers().fits({8, 16, 2, 511}));
  OfFewTrials of_one_length({{8, 16, 6}}, {{9, 16, 6}});
  EXPECT_FALSE(of_one_length.answers().fails({9, 16, 6, 1}));
}

TEST(Answers, OfOneTrialWithBatchOneTheEstimateIsTakenForOtherLengths) {
  Asked asked;
  asked.trials = {asked.land.run(Configuration{1, 8, 4}, asked.limits)};
  asked.estimates = Estimates([&](const Configuration& c) {
    const double bytes =
        static_cast<double>(asked.land.peak(c).count) + 1e5 * static_cast<double>(c.sequence);
    return PredictedBytes{Bytes{static_cast<std::uint64_t>(bytes)}};
  });
  EXPECT_TRUE(asked.answers().uses_plan());
  const Configuration longer{1, 8, 4, 1024};
  const double truth = static_cast<double>(asked.land.peak({1, 8, 4}).count) + 1e5 * 1024;
  EXPECT_NEAR(asked.answers().peak(longer).value / truth, 1, 0.05);
}

TEST(Answers, NoPeakIsExpectedBelowNothing) {
  for (const std::int64_t batch : {1, 4, 7}) {
    OfFewTrials asked({}, {});
    for (const auto& [tested, peak] : {std::pair{8, 100_MiB}, {10, 400_MiB}, {12, 700_MiB}}) {
      asked.add({tested, 16, 6}, Verdict::kFits);
      asked.trials.back().outcome.peak = MeasuredBytes{peak};
    }
    const Answer peak = asked.answers().peak({batch, 16, 6});
    EXPECT_GE(peak.low, 0);
    EXPECT_GE(peak.value, peak.low);
    EXPECT_GE(peak.high, peak.value);
  }
}

TEST(Answers, SpeedFallsWithTheRankByAsMuchAsWasMeasured) {
  Asked asked;
  const Answers answers = asked.answers();
  for (const std::int64_t rank : {8, 32, 64}) {
    const Configuration c{6, rank, 8};
    EXPECT_NEAR(answers.speed(c)->value / asked.land.speed(c), 1, 0.01);
  }
}

// Of its own need it says no more than that it held so much.
TEST(Answers, AKillBelowTheCeilingSaysNothingOfWhatTheCeilingWouldHaveHeld) {
  Asked asked;
  const Configuration c{10, 32, 8};
  RunTrial killed = asked.land.run(c, asked.limits);
  killed.cap = asked.limits.budget;
  killed.outcome.verdict = Verdict::kOutOfMemory;
  killed.outcome.peak = MeasuredBytes{400_MiB};
  killed.outcome.signal = SIGKILL;
  killed.outcome.evidence = {{"oom_kills", 1}, {"cap_was_full", false}};
  asked.trials.push_back(killed);
  const auto truth = static_cast<double>(asked.land.peak(c).count);
  EXPECT_NEAR(asked.answers().peak(c).value / truth, 1, 0.01);
  asked.trials.back().outcome.evidence["cap_was_full"] = true;
  EXPECT_GT(asked.answers().peak(c).value, truth * 1.1);
}

// Noise of 1 %, by which a line through the speeds rises with the rank: far away it crosses zero.
TEST(Answers, NoRankIsExpectedToBeFasterThanASmallerOneThatWasMeasured) {
  OfFewTrials asked({}, {});
  for (const auto& [rank, speed] : {std::pair{32, 9585.0}, {64, 9600}, {96, 9690}, {128, 9700}}) {
    asked.add({2, rank, 6}, Verdict::kFits);
    asked.trials.back().outcome.tokens_per_second = speed;
  }
  for (const std::int64_t rank : {256, 4096, 16384}) {
    const auto speed = asked.answers().speed({2, rank, 6});
    ASSERT_TRUE(speed.has_value()) << rank;
    EXPECT_GT(speed->low, 0) << rank;
    EXPECT_LE(speed->low, speed->value) << rank;
    EXPECT_LE(speed->value, speed->high) << rank;
    EXPECT_LE(speed->high, 9585) << rank;
  }
}

TEST(Answers, NoRankIsExpectedToBeSlowerThanALargerOneThatWasMeasured) {
  OfFewTrials asked({}, {});
  for (const auto& [rank, speed] : {std::pair{32, 9585.0}, {64, 9600}, {96, 9690}, {128, 9700}}) {
    asked.add({2, rank, 6}, Verdict::kFits);
    asked.trials.back().outcome.tokens_per_second = speed;
  }
  for (const Configuration& c : {Configuration{2, 1, 6}, {2, 31, 6}, {2, 16, 2}, {3, 8, 6}}) {
    const auto speed = asked.answers().speed(c);
    ASSERT_TRUE(speed.has_value());
    EXPECT_GE(speed->low, 9700 * (1 - 1e-9));
    EXPECT_LE(speed->low, speed->value);
    EXPECT_LE(speed->value, speed->high);
  }
}

TEST(Answers, ASpeedThatOthersSlowedBoundsNothing) {
  Asked asked;
  const double before = asked.answers().speed({6, 64, 12})->value;
  RunTrial slowed = asked.land.run(Configuration{8, 8, 4}, asked.limits);
  slowed.outcome.noise.cores = 2;
  slowed.outcome.noise.neighbour_cores = 1.5;
  slowed.outcome.tokens_per_second /= 4;
  asked.trials.push_back(slowed);
  EXPECT_NEAR(asked.answers().speed({6, 64, 12})->value / before, 1, 0.01);
}

TEST(Answers, ASpeedThatOthersSlowedIsALowerBoundUntilItIsMeasuredAnew) {
  Asked asked;
  const Configuration c = asked.trials.front().configuration;
  asked.trials.front().outcome.noise.cores = 2;
  asked.trials.front().outcome.noise.neighbour_cores = 1.5;
  EXPECT_TRUE(asked.answers().speed(c)->slowed_by_others);
  EXPECT_FALSE(asked.answers().speed(asked.trials[1].configuration)->slowed_by_others);
  asked.trials.push_back(asked.land.run(c, asked.limits));
  EXPECT_FALSE(asked.answers().speed(c)->slowed_by_others);
}

TEST(Answers, NeedATrialThatRanToItsEnd) {
  Asked asked;
  asked.trials.resize(1);
  asked.trials[0].outcome.verdict = Verdict::kCrashed;
  EXPECT_THROW((void)asked.answers(), Error);
}

}  // namespace
}  // namespace loadline
