// Each rule of the search on a machine made for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "base/error.h"
#include "search/evidence.h"
#include "unit/search/landscape.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;
using testing::Landscape;

constexpr double kMiB = 1 << 20;

// A search on a landscape, with what it asked.
struct Bench {
  Landscape land;
  SearchSpace space{{8, 16, 32}, {4, 8, 16}, 16};
  SearchLimits limits{.budget = 1000_MiB};
  std::vector<Configuration> asked;
  std::size_t confirmations = 0;  // of those asked, second runs
  std::set<Configuration> slowed;
  bool asked_for_speed = false;
  std::vector<RunTrial> known;
  bool has_plan = true;
  // Another answer than the landscape's, for some.
  std::function<std::optional<Verdict>(const Configuration&)> verdict;
  // Cores of two that others use during a configuration's n-th run (0 is the first).
  std::function<double(const Configuration&, std::ptrdiff_t)> neighbours;
  std::function<std::string()> must_end;
  std::function<void(const Outlook&)> outlook;
  std::function<bool()> looks_further;

  RunTrial run(const Question& question) {
    const Configuration& c = question.configuration;
    const std::ptrdiff_t before = std::count(asked.begin(), asked.end(), c);
    const bool is_only_cell = space.ranks.size() * space.layers.size() == 1;
    EXPECT_EQ(question.for_speed, slowed.contains(c) && before == 1 && !is_only_cell);
    if (before > 0 && !question.for_speed) {
      EXPECT_TRUE(question.under_margin) << "only a choice is run again, to confirm it";
      ++confirmations;
    }
    asked.push_back(c);
    asked_for_speed |= question.for_speed;
    RunTrial trial = land.run(question, limits);
    trial.trial = static_cast<int>(asked.size());
    if (neighbours) slow(trial, neighbours(c, before));
    const auto other = verdict ? verdict(c) : std::nullopt;
    if (other) {
      trial.outcome.verdict = *other;
      trial.outcome.peak.reset();
      trial.outcome.cause = "made so";
    }
    return trial;
  }

  void slow(RunTrial& trial, double cores) {
    trial.outcome.noise.cores = 2;
    trial.outcome.noise.neighbour_cores = cores;
    trial.outcome.tokens_per_second /= 1 + 3 * cores;
    if (trial.outcome.noise.slows()) slowed.insert(trial.configuration);
  }

  SearchResult search() {
    SearchFunctions functions;
    functions.run = [this](const Question& question) { return run(question); };
    functions.must_end = must_end;
    functions.outlook = outlook;
    functions.looks_further = looks_further;
    functions.estimate = [this](const Configuration& c) {
      const double amount = has_plan ? land.mib_without_noise(c) : 0;
      return PredictedBytes{Bytes{static_cast<std::uint64_t>(amount * kMiB)}};
    };
    return loadline::search(space, limits, functions, known);
  }
};

const FrontierCell& cell(const SearchResult& result, std::int64_t rank, std::int64_t layers) {
  for (const FrontierCell& c : result.frontier) {
    if (c.lora_rank == rank && c.lora_layers == layers) return c;
  }
  throw std::logic_error("no such cell");
}

TEST(Search, WhenTheSmallestDoesNotFitOneTrialProvesThatNothingDoes) {
  Bench bench;
  bench.land.fixed = 5000;
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kNothingFits);
  EXPECT_EQ(bench.asked, (std::vector<Configuration>{{1, 8, 4}}));
  EXPECT_FALSE(result.optimal || result.largest || result.fastest);
  for (const FrontierCell& c : result.frontier) EXPECT_EQ(c.max_batch, 0);
}

TEST(Search, WhenTheLargestFitsItProvesTheWholeGrid) {
  Bench bench;
  bench.limits = {.budget = 100_GiB, .objective = Objective::kLargest};
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kComplete);
  EXPECT_EQ(result.trials[*result.optimal].configuration, (Configuration{16, 32, 16}));
  EXPECT_FALSE(result.next_larger);
  EXPECT_LE(bench.asked.size(), 3U);
  for (const FrontierCell& c : result.frontier) {
    EXPECT_EQ(c.max_batch, 16);
    EXPECT_TRUE(c.at_limit);
    EXPECT_NE(c.basis, Basis::kPlanned);
  }
}

TEST(Search, ASingleCellIsBisectedWithItsPlanAndProvenByTwoTrials) {
  Bench bench;
  bench.space = {{8}, {4}, 64};
  bench.land.token = 50;
  const SearchResult result = bench.search();
  ASSERT_TRUE(result.optimal && result.next_larger);
  EXPECT_EQ(result.trials[*result.next_larger].configuration.batch_size,
            result.trials[*result.optimal].configuration.batch_size + 1);
  EXPECT_EQ(cell(result, 8, 4).basis, Basis::kMeasured);
  EXPECT_EQ(cell(result, 8, 4).next_fails, Basis::kMeasured);
  EXPECT_LE(bench.asked.size(), 3U);  // the smallest, the largest that fits, the next
}

TEST(Search, TheFirstTrialOfABalancedSearchProvesTheMarginWhereThePlanLetsItFit) {
  for (const Objective objective : {Objective::kBalanced, Objective::kFastest}) {
    for (const bool has_plan : {true, false}) {
      Bench bench;
      bench.limits.objective = objective;
      bench.has_plan = has_plan;
      const SearchResult result = bench.search();
      EXPECT_EQ(result.trials.front().under_margin, has_plan && objective == Objective::kBalanced);
      EXPECT_EQ(result.status, SearchResult::Status::kComplete);
    }
  }
}

class SearchWithout : public ::testing::TestWithParam<Verdict> {};

TEST_P(SearchWithout, EvidenceOfMemoryAClosedBatchIsNotCalledAFailureOfMemory) {
  Bench bench;
  bench.has_plan = false;
  bench.limits.budget = 100_GiB;
  bench.verdict = [&](const Configuration& c) -> std::optional<Verdict> {
    const bool bad = c.lora_rank == 32 && c.lora_layers == 16 && c.batch_size >= 4;
    return bad ? std::optional(GetParam()) : std::nullopt;
  };
  const SearchResult result = bench.search();
  const FrontierCell& closed = cell(result, 32, 16);
  EXPECT_EQ(closed.max_batch, 3);
  ASSERT_TRUE(closed.unusable);
  EXPECT_EQ(result.trials[*closed.unusable].outcome.verdict, GetParam());
  // Its neighbours were asked for themselves: nothing spread from it.
  EXPECT_EQ(cell(result, 16, 16).max_batch, 16);
  EXPECT_EQ(cell(result, 32, 8).max_batch, 16);
  EXPECT_EQ(result.status, SearchResult::Status::kComplete);
}

INSTANTIATE_TEST_SUITE_P(Verdicts, SearchWithout,
                         ::testing::Values(Verdict::kKilled, Verdict::kTimedOut, Verdict::kStalled,
                                           Verdict::kCrashed, Verdict::kDiverged));

TEST(Search, TrialsThatAllCrashEndItEarlyAndAreNotCalledTooLarge) {
  Bench bench;
  bench.verdict = [](const Configuration&) { return Verdict::kCrashed; };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kUnfinished);
  EXPECT_EQ(result.stop_verdict, Verdict::kCrashed);
  EXPECT_THAT(result.stopped_by, HasSubstr("crashed: made so"));
  EXPECT_EQ(bench.asked.size(), 3U);
}

class SearchEndedBy : public ::testing::TestWithParam<Verdict> {};

TEST_P(SearchEndedBy, AVerdictThatIsNoAnswerKeepsTheBestSoFar) {
  Bench bench;
  bench.verdict = [&](const Configuration&) {
    return bench.asked.size() == 3 ? std::optional(GetParam()) : std::nullopt;
  };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kUnfinished);
  EXPECT_EQ(result.stop_verdict, GetParam());
  EXPECT_EQ(bench.asked.size(), 3U);
  ASSERT_TRUE(result.optimal);
  EXPECT_TRUE(result.trials[*result.optimal].outcome.fits());
}

INSTANTIATE_TEST_SUITE_P(Verdicts, SearchEndedBy,
                         ::testing::Values(Verdict::kInterrupted, Verdict::kRefused,
                                           Verdict::kBadInput));

TEST(Search, TheTimeLimitIsAskedBetweenTrials) {
  Bench bench;
  bench.must_end = [&] { return bench.asked.size() >= 2 ? "the time limit was reached" : ""; };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kUnfinished);
  EXPECT_FALSE(result.stop_verdict);
  EXPECT_THAT(result.stopped_by, HasSubstr("time limit"));
  EXPECT_EQ(bench.asked.size(), 2U);
  EXPECT_TRUE(result.optimal);
}

TEST(Search, AResumedSearchGoesTheSameWayAndRunsNothingTwice) {
  Bench whole;
  const SearchResult full = whole.search();
  ASSERT_GT(full.trials.size(), 4U);
  for (std::size_t done = 0; done <= full.trials.size(); ++done) {
    Bench rest;
    rest.known.assign(full.trials.begin(), full.trials.begin() + static_cast<std::ptrdiff_t>(done));
    const SearchResult result = rest.search();
    ASSERT_EQ(result.trials.size(), full.trials.size());
    for (std::size_t i = 0; i < full.trials.size(); ++i) {
      EXPECT_EQ(result.trials[i].configuration, full.trials[i].configuration);
    }
    EXPECT_EQ(rest.asked.size(), full.trials.size() - done);
    EXPECT_EQ(result.optimal, full.optimal);
  }
}

TEST(Search, AnInterruptedTrialOfAnEarlierSearchIsRunAgain) {
  Bench bench;
  bench.has_plan = false;  // so that the smallest is asked for
  RunTrial cut = bench.land.run(Configuration{1, 8, 4}, bench.limits);
  cut.outcome.verdict = Verdict::kInterrupted;
  bench.known = {cut};
  const SearchResult result = bench.search();
  EXPECT_TRUE(std::count(bench.asked.begin(), bench.asked.end(), cut.configuration) == 1);
  EXPECT_EQ(result.status, SearchResult::Status::kComplete);
}

TEST(Search, ANextLargerBatchFarOverTheBudgetIsLeftToTheConfirmedPlan) {
  Bench bench;
  bench.space = {{8, 16}, {4, 8}, 16};
  bench.land.fixed = 600;
  bench.land.token = 20;
  bench.land.cliff = 4000;
  bench.land.cliff_batch = 4;
  bench.land.cliff_layers = 1000;
  bench.limits.objective = Objective::kLargest;
  const SearchResult result = bench.search();
  ASSERT_TRUE(result.optimal);
  EXPECT_EQ(result.trials[*result.optimal].configuration.batch_size, 3);
  EXPECT_FALSE(result.next_larger);
  ASSERT_TRUE(result.next_larger_planned);
  EXPECT_GT(result.next_larger_planned->bytes, 4000_MiB);
}

TEST(Search, APlanThatKnowsNoCliffsCostsNoMeasuredTruth) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Bench bench;
    bench.land.seed = seed;
    bench.land.cliff = 20.0 * static_cast<double>(seed);
    bench.land.cliff_batch = 1 + static_cast<std::int64_t>(seed % 16);
    bench.land.cliff_layers = 8;
    SearchFunctions functions;
    functions.run = [&](const Question& q) { return bench.run(q); };
    functions.estimate = [&](const Configuration& c) {
      return PredictedBytes{Bytes{static_cast<std::uint64_t>(bench.land.smooth_mib(c) * kMiB)}};
    };
    const SearchResult result = search(bench.space, bench.limits, functions, {});
    const auto truth = testing::exhaustive(bench.land, bench.space, bench.limits);
    for (const FrontierCell& c : result.frontier) {
      const std::int64_t right = testing::largest_batch(truth, c.lora_rank, c.lora_layers);
      if (c.basis != Basis::kPlanned) {
        EXPECT_LE(c.max_batch, right);
      }
      if (c.next_fails != Basis::kPlanned) {
        EXPECT_GE(c.max_batch, right);
      }
    }
    if (!result.optimal) continue;
    const Configuration chosen = result.trials[*result.optimal].configuration;
    EXPECT_EQ(chosen.batch_size,
              testing::largest_batch(truth, chosen.lora_rank, chosen.lora_layers));
  }
}

// All memory that it needs is there, but less than the margin's share: the trial under it dies.
TEST(Search, AConfirmationThatFailsLeavesTheNextSmallerBatch) {
  for (const auto objective : {Objective::kBalanced, Objective::kLargest, Objective::kFastest}) {
    Bench bench;
    bench.space = {{8}, {4}, 8};
    bench.land.token = 50;
    bench.has_plan = false;
    bench.limits.objective = objective;
    std::int64_t overturned = 0;
    bench.verdict = [&](const Configuration& c) -> std::optional<Verdict> {
      const bool again = std::count(bench.asked.begin(), bench.asked.end(), c) > 1;
      if (again && overturned == 0) overturned = c.batch_size;
      return again && c.batch_size == overturned ? std::optional(Verdict::kOutOfMemory)
                                                 : std::nullopt;
    };
    const SearchResult result = bench.search();
    ASSERT_GT(overturned, 1) << name_of(objective);
    EXPECT_EQ(result.status, SearchResult::Status::kComplete);
    for (const auto& index : {result.optimal, result.balanced, result.largest, result.fastest}) {
      ASSERT_TRUE(index) << name_of(objective);
      EXPECT_EQ(result.trials[*index].configuration.batch_size, overturned - 1);
    }
  }
}

TEST(Search, AnyMixOfVerdictsEndsWithoutAskingTwiceOrChoosingWhatWasNotMeasured) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 300; ++round) {
    Bench bench;
    bench.has_plan = round % 2 == 0;
    bench.limits.objective = static_cast<Objective>(round % 3);
    bench.land.token = 5 + static_cast<double>(random() % 60);
    bench.verdict = [&](const Configuration&) -> std::optional<Verdict> {
      const auto roll = random() % 12;
      if (roll < 7) return std::nullopt;
      constexpr Verdict kOthers[] = {Verdict::kFits, Verdict::kOutOfMemory, Verdict::kKilled,
                                     Verdict::kTimedOut, Verdict::kExceedsBudget};
      return kOthers[roll - 7];
    };
    const SearchResult result = bench.search();
    const std::set<Configuration> different(bench.asked.begin(), bench.asked.end());
    EXPECT_EQ(different.size() + bench.confirmations, bench.asked.size());
    for (const auto& index : {result.optimal, result.largest, result.fastest}) {
      if (index) {
        EXPECT_TRUE(result.trials[*index].outcome.fits());
      }
    }
    for (const FrontierCell& c : result.frontier) {
      EXPECT_GE(c.max_batch, 0);
      EXPECT_LE(c.max_batch, bench.space.max_batch);
    }
  }
}

TEST(Search, TheOutlookBeginsWithTheNextTrialAndAGoodPlanSeesTheEnd) {
  Bench bench;
  bench.limits.objective = Objective::kLargest;
  std::vector<Outlook> outlooks;
  bench.outlook = [&](const Outlook& outlook) { outlooks.push_back(outlook); };
  const SearchResult result = bench.search();
  ASSERT_EQ(outlooks.size(), bench.asked.size());
  for (std::size_t i = 0; i < outlooks.size(); ++i) {
    EXPECT_EQ(outlooks[i].trials_done, i);
    for (const auto& way : outlooks[i].ways) {
      EXPECT_EQ(way.front().configuration, bench.asked[i]);
    }
  }
  // The plan is exact here: from the first trial on the rest is foreseen.
  std::vector<Configuration> foreseen;
  for (const ExpectedTrial& trial : outlooks[1].ways.front()) {
    foreseen.push_back(trial.configuration);
  }
  EXPECT_EQ(foreseen, std::vector<Configuration>(bench.asked.begin() + 1, bench.asked.end()));
}

// Sequences and checkpointing beside ranks and layers: what a row of each needs differs.
TEST(Search, SequencesAndCheckpointingAreComparedJointly) {
  Landscape land;
  land.token = 60;
  const SearchLimits limits{.budget = 1200_MiB, .objective = Objective::kLargest};
  SearchSpace space{{8, 32}, {4, 8}, 32};
  space.sequences = {256, 512};
  space.checkpointing = {0, 1};
  const auto alike = [&](const Configuration& c) {
    Landscape of = land;
    const double share = static_cast<double>(c.sequence) / 512 * (c.checkpointing == 1 ? 0.5 : 1);
    of.token *= share;
    of.activation *= share;
    return of;
  };
  SearchFunctions functions;
  functions.run = [&](const Question& q) { return alike(q.configuration).run(q, limits); };
  functions.estimate = [&](const Configuration& c) { return PredictedBytes{alike(c).peak(c)}; };
  const SearchResult result = search(space, limits, functions, {});
  ASSERT_EQ(result.frontier.size(), 16U);
  for (const FrontierCell& c : result.frontier) {
    std::int64_t most = 0;
    for (std::int64_t batch = 1; batch <= space.max_batch; ++batch) {
      const Question q{{batch, c.lora_rank, c.lora_layers, c.sequence, c.checkpointing}, false};
      if (alike(q.configuration).run(q, limits).outcome.fits()) most = batch;
    }
    EXPECT_EQ(c.max_batch, most) << c.lora_rank << " " << c.lora_layers << " " << c.sequence << " "
                                 << c.checkpointing;
  }
  const Configuration chosen = result.trials[*result.optimal].configuration;
  EXPECT_EQ(chosen.checkpointing, 1);
  EXPECT_LE(result.trials.size(), 6U);
}

TEST(Search, AChoiceThatNeighboursSlowedIsMeasuredOnceMoreAndThenChosen) {
  Bench quiet;
  quiet.land.token_layer = 1e-6;
  const SearchResult expected = quiet.search();
  const Configuration best = expected.trials[*expected.optimal].configuration;
  ASSERT_NE(best, (Configuration{best.batch_size, 8, 4}));

  Bench bench;
  bench.land = quiet.land;
  bench.neighbours = [&](const Configuration& c, std::ptrdiff_t run) {
    return c == best && run == 0 ? 1.0 : 0.1;
  };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.trials[*result.optimal].configuration, best);
  EXPECT_EQ(std::count(bench.asked.begin(), bench.asked.end(), best), 2);
  EXPECT_LE(bench.asked.size(), quiet.asked.size() + 1);
}

TEST(Search, AYardstickThatNeighboursSlowedLetsNoSlowConfigurationPass) {
  Bench quiet;
  quiet.land.token_layer = 2e-4;  // 8 layers are already too slow
  const SearchResult expected = quiet.search();
  const Configuration best = expected.trials[*expected.optimal].configuration;
  ASSERT_EQ(best.lora_layers, 4);

  Bench bench;
  bench.land = quiet.land;
  bench.neighbours = [](const Configuration& c, std::ptrdiff_t run) {
    return c.lora_layers == 4 && c.lora_rank == 8 && run == 0 ? 1.0 : 0.0;
  };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.trials[*result.optimal].configuration, best);
}

TEST(Search, OnAMachineThatIsNeverQuietNoMoreThanTwoTrialsAreRunAgain) {
  for (const Objective objective : {Objective::kBalanced, Objective::kFastest}) {
    Bench quiet;
    quiet.limits.objective = objective;
    (void)quiet.search();
    Bench bench;
    bench.limits.objective = objective;
    bench.neighbours = [](const Configuration&, std::ptrdiff_t) { return 1.0; };
    EXPECT_EQ(bench.search().status, SearchResult::Status::kComplete);
    EXPECT_LE(bench.asked.size(), quiet.asked.size() + 2) << name_of(objective);
  }
}

TEST(Search, TheOnlyCellsSpeedIsComparedWithNoneAndSoNotMeasuredOnceMore) {
  Bench bench;
  bench.space.ranks = {8};
  bench.space.layers = {4};
  bench.neighbours = [](const Configuration&, std::ptrdiff_t) { return 1.0; };
  const SearchResult result = bench.search();
  EXPECT_EQ(result.status, SearchResult::Status::kComplete);
  EXPECT_FALSE(bench.slowed.empty());
  EXPECT_FALSE(bench.asked_for_speed);
}

// A confirmation, say, that runs beside a neighbour.
TEST(Search, ASpeedMeasuredInQuietOutweighsALaterOneThatNeighboursSlowed) {
  Bench quiet;
  quiet.land.token_layer = 1e-6;
  const SearchResult expected = quiet.search();
  const Configuration best = expected.trials[*expected.optimal].configuration;

  for (std::size_t from = 2; from <= quiet.asked.size(); ++from) {
    Bench bench;
    bench.land = quiet.land;
    bench.neighbours = [&](const Configuration& c, std::ptrdiff_t run) {
      return bench.asked.size() >= from && (c != best || run > 0) ? 1.0 : 0.0;
    };
    const SearchResult result = bench.search();
    EXPECT_EQ(result.trials[*result.optimal].configuration, best) << "from trial " << from;
    EXPECT_LE(bench.asked.size(), quiet.asked.size() + 3);
  }
}

TEST(Search, WhereOnlyCheckpointingFitsItsSmallestCellIsTheYardstick) {
  const SearchLimits limits{.budget = 1700_MiB};  // all of it, with checkpointing
  SearchSpace space{{8, 32}, {4, 8, 16}, 16};
  const auto searched = [&](const std::vector<int>& checkpointing) {
    space.checkpointing = checkpointing;
    const auto land = [](const Configuration& c) {
      Landscape of;
      of.token_layer = 2e-4;
      of.token = c.checkpointing == 1 ? 20 : 2000;
      return of;
    };
    SearchFunctions functions;
    functions.run = [&](const Question& q) { return land(q.configuration).run(q, limits); };
    functions.estimate = [&](const Configuration& c) { return PredictedBytes{land(c).peak(c)}; };
    return search(space, limits, functions, {});
  };
  const SearchResult both = searched({0, 1});
  const SearchResult on = searched({1});
  EXPECT_EQ(both.trials[*both.fastest].configuration, on.trials[*on.fastest].configuration);
  EXPECT_EQ(both.trials[*both.optimal].configuration.lora_layers, 4);
}

TEST(Search, TrialsThatWereRefusedEarlierSpendNothing) {
  Bench fresh;
  const SearchResult expected = fresh.search();
  Bench bench;
  RunTrial refused;
  refused.configuration = {1, 8, 4};
  refused.outcome.verdict = Verdict::kRefused;
  bench.known.assign(8, refused);
  const SearchResult result = bench.search();
  EXPECT_EQ(bench.asked, fresh.asked);
  EXPECT_EQ(result.trials.size(), expected.trials.size());
}

// Without a plan the ways are many, and each question on them costs what a real one does.
TEST(Search, AnOutlookEndsWhenItIsToldTo) {
  Bench bench;
  bench.has_plan = false;
  bench.space.max_batch = 2000;
  bench.limits.budget = 20_GiB;
  std::size_t told = 0;
  bench.outlook = [&](const Outlook& outlook) {
    ++told;
    EXPECT_TRUE(outlook.ways.empty());
  };
  bench.looks_further = [] { return false; };
  EXPECT_EQ(bench.search().status, SearchResult::Status::kComplete);
  EXPECT_EQ(told, bench.asked.size());
}

TEST(Search, TheEstimateIsAskedOnceForAConfiguration) {
  Landscape land;
  const SearchLimits limits{.budget = 1000_MiB};
  std::multiset<Configuration> estimated;
  SearchFunctions functions;
  functions.run = [&](const Question& q) { return land.run(q, limits); };
  functions.estimate = [&](const Configuration& c) {
    estimated.insert(c);
    return PredictedBytes{land.peak(c)};
  };
  (void)search({{8, 16}, {4, 8}, 32}, limits, functions, {});
  EXPECT_FALSE(estimated.empty());
  for (const Configuration& c : estimated) EXPECT_EQ(estimated.count(c), 1U);
}

TEST(Search, RefusesAGridThatIsNone) {
  const auto message = [](const SearchSpace& space) -> std::string {
    Bench bench;
    bench.space = space;
    try {
      (void)bench.search();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({{}, {4}, 8}), HasSubstr("--ranks is empty"));
  EXPECT_THAT(message({{0, 8}, {4}, 8}), HasSubstr("--ranks: 0 is below 1"));
  EXPECT_THAT(message({{8}, {8, 4}, 8}), HasSubstr("--layers-grid: 4 does not rise after 8"));
  EXPECT_THAT(message({{8}, {4}, 0}), HasSubstr("--max-batch 0"));
}

RunTrial measured(Configuration configuration, double speed, Verdict verdict = Verdict::kFits) {
  RunTrial trial;
  trial.configuration = configuration;
  trial.outcome.verdict = verdict;
  trial.outcome.tokens_per_second = speed;
  return trial;
}

TEST(Choose, FollowsEachObjective) {
  const std::vector<RunTrial> trials = {measured({8, 8, 4}, 1000), measured({6, 16, 4}, 920),
                                        measured({6, 32, 16}, 500),
                                        measured({9, 64, 16}, 2000, Verdict::kExceedsBudget)};
  EXPECT_EQ(choose(trials, Objective::kFastest), 0U);
  EXPECT_EQ(choose(trials, Objective::kBalanced), 1U);
  EXPECT_EQ(choose(trials, Objective::kLargest), 2U);
}

TEST(Choose, ASmallerBatchOfACellIsNeitherTheBalancedAnswerNorItsYardstick) {
  const std::vector<RunTrial> trials = {measured({1, 8, 4}, 1500), measured({8, 8, 4}, 1000),
                                        measured({6, 16, 4}, 950)};
  EXPECT_EQ(choose(trials, Objective::kFastest), 0U);
  EXPECT_EQ(choose(trials, Objective::kBalanced), 2U);
}

TEST(Choose, AFitThatALaterRunOverturnedOutgrowsNothing) {
  const std::vector<RunTrial> trials = {measured({1, 8, 4}, 900), measured({2, 8, 4}, 1000),
                                        measured({3, 8, 4}, 1100),
                                        measured({3, 8, 4}, 1100, Verdict::kOutOfMemory)};
  for (const auto objective : {Objective::kBalanced, Objective::kLargest, Objective::kFastest}) {
    EXPECT_EQ(choose(trials, objective), 1U) << name_of(objective);
  }
}

TEST(Choose, ARepeatThatWasKilledTakesNothingFromAFitUnlessItWasToProveTheMargin) {
  std::vector<RunTrial> trials = {measured({1, 8, 4}, 900), measured({2, 8, 4}, 1000),
                                  measured({2, 8, 4}, 0, Verdict::kKilled)};
  EXPECT_EQ(choose(trials, Objective::kLargest), 1U);
  trials[2].under_margin = true;
  EXPECT_EQ(choose(trials, Objective::kLargest), 0U);
  trials[1].under_margin = true;
  EXPECT_EQ(choose(trials, Objective::kLargest), 1U);
}

TEST(Choose, TheSpeedOfAConfigurationIsThatOfItsFastestRunThatNeighboursDidNotSlow) {
  std::vector<RunTrial> trials = {measured({8, 8, 4}, 1000), measured({6, 16, 4}, 950),
                                  measured({6, 16, 4}, 300)};
  trials[2].outcome.noise.cores = 2;
  trials[2].outcome.noise.neighbour_cores = 1;
  EXPECT_EQ(choose(trials, Objective::kBalanced), 2U);
  trials.push_back(measured({6, 16, 4}, 400));
  EXPECT_EQ(choose(trials, Objective::kBalanced), 3U);
  trials[1].outcome.noise = trials[2].outcome.noise;
  EXPECT_EQ(choose(trials, Objective::kBalanced), 0U);
}

void give_pace(RunTrial& trial, double reference_seconds) {
  trial.outcome.pace = {
      .reference = {.tokens = 512, .seconds = reference_seconds},
      .tokens_per_reference = trial.outcome.tokens_per_second * reference_seconds};
}

// The second trial ran while the machine took a quarter longer for the same work.
TEST(Choose, SpeedsAreComparedAtOnePace) {
  std::vector<RunTrial> trials = {measured({8, 8, 4}, 1000), measured({6, 16, 4}, 760),
                                  measured({4, 32, 4}, 700)};
  EXPECT_EQ(choose(trials, Objective::kBalanced), 0U);
  give_pace(trials[0], 1.0);
  give_pace(trials[1], 1.25);
  EXPECT_EQ(choose(trials, Objective::kBalanced), 0U) << "the third one has no pace";
  give_pace(trials[2], 1.0);
  EXPECT_EQ(choose(trials, Objective::kBalanced), 1U);
  EXPECT_DOUBLE_EQ(speed_of({6, 16, 4}, trials)->tokens_per_second, 950);
  trials[2].outcome.pace->reference.tokens = 256;
  EXPECT_EQ(choose(trials, Objective::kBalanced), 0U) << "of other work than the others";
}

TEST(Choose, ThePaceOfATrialThatOthersSlowedIsNoOthersAndItsSpeedIsTheLowerOfBoth) {
  std::vector<RunTrial> trials = {measured({8, 8, 4}, 1000), measured({7, 16, 4}, 900),
                                  measured({6, 32, 4}, 880)};
  give_pace(trials[0], 1.0);
  give_pace(trials[1], 1.0);
  give_pace(trials[2], 3.0);
  trials[2].outcome.noise.cores = 2;
  trials[2].outcome.noise.neighbour_cores = 1;
  EXPECT_DOUBLE_EQ(common_pace(trials)->seconds, 1.0);
  EXPECT_DOUBLE_EQ(speed_of({6, 32, 4}, trials)->tokens_per_second, 880);
  give_pace(trials[2], 0.5);  // the machine was quicker then
  EXPECT_DOUBLE_EQ(speed_of({6, 32, 4}, trials)->tokens_per_second, 440);
  trials[2].outcome.pace.reset();
  EXPECT_TRUE(common_pace(trials));
}

TEST(Choose, TheSpeedOfAnOnlyTrialIsAsItWasMeasured) {
  std::vector<RunTrial> trials = {measured({8, 8, 4}, 1000)};
  trials[0].outcome.step_seconds = 0.3;
  give_pace(trials[0], 1.0);
  trials[0].outcome.pace->tokens_per_reference = 1100;  // medians of other steps
  EXPECT_FALSE(common_pace(trials));
  EXPECT_EQ(speed_of({8, 8, 4}, trials)->tokens_per_second, 1000);
  EXPECT_EQ(speed_of({8, 8, 4}, trials)->step_seconds, 0.3);
}

TEST(ParetoFront, HasWhatNothingBeatsInBothMemoryAndSpeed) {
  std::vector<RunTrial> trials = {measured({1, 8, 4}, 500), measured({2, 8, 4}, 900),
                                  measured({3, 8, 4}, 800), measured({4, 8, 4}, 1000),
                                  measured({5, 8, 4}, 5000, Verdict::kExceedsBudget)};
  for (std::size_t i = 0; i < trials.size(); ++i) {
    trials[i].outcome.peak = MeasuredBytes{Bytes{100 * (i + 1)}};
  }
  EXPECT_EQ(pareto_front(trials), (std::vector<std::size_t>{0, 1, 3}));
}

TEST(Choose, HasNoAnswerWhereNothingFits) {
  EXPECT_FALSE(choose({}, Objective::kBalanced));
  EXPECT_FALSE(choose({measured({1, 8, 4}, 10, Verdict::kKilled)}, Objective::kLargest));
}

TEST(Objectives, HaveNamesThatReadBack) {
  for (const auto objective : {Objective::kBalanced, Objective::kLargest, Objective::kFastest}) {
    EXPECT_EQ(objective_from(name_of(objective)), objective);
  }
  EXPECT_THROW((void)objective_from("best"), Error);
}

}  // namespace
}  // namespace loadline
