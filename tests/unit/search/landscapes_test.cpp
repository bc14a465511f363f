// The search against the exhaustive grid on random machines.
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "unit/search/landscape.h"

namespace loadline {
namespace {

using testing::Landscape;

enum class Plan { kGood, kTwentyOver, kTwentyUnder, kThrows, kConstant, kRandom };

// The plan's error differs from one configuration to another by this at most, either way; that of
// the engine's own plan by less near a budget (docs/memory.md).
constexpr double kPlanError = 0.001;

struct Case {
  Landscape land;
  SearchSpace space;
  SearchLimits limits;
  std::vector<RunTrial> truth;
};

// A random machine whose budget lies somewhere on its grid. Tries again where noise at the line
// makes the grid's answer not monotone.
Case random_case(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto between = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (;;) {
    Case c;
    c.space.ranks = {8, 16, 32, 64};
    c.space.layers = {4, 8, 16, 24};
    c.space.max_batch = 24;
    c.land.seed = random();
    c.land.fixed = between(100, 2000);
    c.land.token = between(20, 200);
    c.land.activation = between(0.5, 12);
    c.land.adapter = between(0.02, 0.5);
    c.land.layer = between(1, 20);
    c.land.noise = between(0, 5e-4);
    c.land.speed_noise = between(0, 5e-3);
    c.land.token_layer = between(0, 1e-4);
    c.land.token_adapter = between(0, 2e-7);
    if (seed % 3 == 1) c.land.step = between(8, 64);
    if (seed % 3 == 2) {
      c.land.cliff = between(50, 800);
      c.land.cliff_batch = 2 + static_cast<std::int64_t>(random() % 20);
      c.land.cliff_layers = 2 + static_cast<std::int64_t>(random() % 20);
    }
    const Configuration at{1 + static_cast<std::int64_t>(random() % 24), 32, 16};
    c.limits.budget = adjusted(c.land.peak(at), c.limits.margin).scaled(between(1.0, 1.05));
    c.truth = testing::exhaustive(c.land, c.space, c.limits);
    if (testing::is_monotone(c.truth)) return c;
  }
}

PredictedBytes predicted(const Landscape& land, Plan plan, const Configuration& c) {
  double amount = land.mib_without_noise(c) * (1 + kPlanError * land.chance(c, 3));
  if (plan == Plan::kTwentyOver) amount *= 1.2;
  if (plan == Plan::kTwentyUnder) amount *= 0.8;
  if (plan == Plan::kThrows) throw std::runtime_error("no plan");
  if (plan == Plan::kConstant) amount = 1000;
  if (plan == Plan::kRandom) amount = 1000 + 900 * land.chance(c, 4);
  return {Bytes{static_cast<std::uint64_t>(amount * (1 << 20))}};
}

SearchResult searched(const Case& c, Plan plan) {
  SearchFunctions functions;
  functions.estimate = [&](const Configuration& q) { return predicted(c.land, plan, q); };
  functions.run = [&](const Question& q) { return c.land.run(q, c.limits); };
  return search(c.space, c.limits, functions, {});
}

void expect_the_exhaustive_frontier(const Case& c, const SearchResult& result) {
  ASSERT_EQ(result.frontier.size(), c.space.ranks.size() * c.space.layers.size());
  for (const FrontierCell& cell : result.frontier) {
    EXPECT_EQ(cell.max_batch, testing::largest_batch(c.truth, cell.lora_rank, cell.lora_layers))
        << "rank " << cell.lora_rank << ", layers " << cell.lora_layers << ", basis "
        << static_cast<int>(cell.basis) << ", next " << static_cast<int>(cell.next_fails);
    EXPECT_TRUE(cell.settled);
  }
}

// Largest: exactly. Fastest and balanced: within what noise in speed can decide.
void expect_the_exhaustive_optimum(const Case& c, const SearchResult& result) {
  ASSERT_TRUE(result.optimal && result.largest && result.fastest);
  const auto& optimal = result.trials[*result.optimal];
  const auto best = choose(c.truth, Objective::kLargest);
  EXPECT_EQ(size_of(result.trials[*result.largest].configuration),
            size_of(c.truth[*best].configuration));
  const auto quickest = choose(c.truth, Objective::kFastest);
  EXPECT_GE(result.trials[*result.fastest].outcome.tokens_per_second,
            0.97 * c.truth[*quickest].outcome.tokens_per_second);
  if (c.limits.objective != Objective::kBalanced) return;
  // The balanced answer if the line were drawn a little higher: ours must not be smaller.
  double sure = 0;
  for (const FrontierCell& cell : result.frontier) {
    if (cell.max_batch == 0) continue;
    const Configuration q{cell.max_batch, cell.lora_rank, cell.lora_layers};
    const double share = c.land.speed(q) / c.truth[*quickest].outcome.tokens_per_second;
    if (share >= kBalancedSpeed * 1.02) sure = std::max(sure, size_of(q));
  }
  EXPECT_GE(size_of(optimal.configuration), 0.97 * sure);
}

// What was chosen was run under budget / (1 + margin) and fits, and the next larger one was run and
// does not.
void expect_a_proven_choice(const Case& c, const SearchResult& result) {
  EXPECT_EQ(result.status, SearchResult::Status::kComplete);
  ASSERT_TRUE(result.optimal);
  const RunTrial& optimal = result.trials[*result.optimal];
  EXPECT_EQ(optimal.outcome.verdict, Verdict::kFits);
  EXPECT_TRUE(optimal.under_margin);
  if (optimal.configuration.batch_size == c.space.max_batch) return;
  if (c.limits.objective == Objective::kFastest) return;
  ASSERT_TRUE(result.next_larger);
  EXPECT_TRUE(is_memory_failure(result.trials[*result.next_larger].outcome.verdict));
}

// All trials count, the confirming run included.
struct Bar {
  Plan plan;
  std::size_t bar;   // landscapes need no more trials than this
  int above;         // but for these many
  std::size_t most;  // and none more than this
};

class OnRandomLandscapes : public ::testing::TestWithParam<Bar> {};

TEST_P(OnRandomLandscapes, TheFrontierAndTheOptimumAreTheExhaustiveOnes) {
  std::size_t sum = 0;
  std::size_t most = 0;
  int above = 0;
  constexpr Objective kObjectives[] = {Objective::kBalanced, Objective::kLargest,
                                       Objective::kFastest};
  constexpr std::uint64_t kCases = 30;
  for (std::uint64_t seed = 1; seed <= kCases; ++seed) {
    SCOPED_TRACE("landscape " + std::to_string(seed));
    Case c = random_case(seed);
    c.limits.objective = kObjectives[(seed / 3) % 3];
    const SearchResult result = searched(c, GetParam().plan);
    expect_the_exhaustive_frontier(c, result);
    expect_the_exhaustive_optimum(c, result);
    expect_a_proven_choice(c, result);
    sum += result.trials.size();
    most = std::max(most, result.trials.size());
    above += result.trials.size() > GetParam().bar ? 1 : 0;
    if (HasFatalFailure()) return;
  }
  std::printf("trials: mean %.1f, most %zu, above %zu in %d of %d landscapes, of %zu\n",
              static_cast<double>(sum) / kCases, most, GetParam().bar, above,
              static_cast<int>(kCases), std::size_t{16 * 24});
  EXPECT_LE(above, GetParam().above);
  EXPECT_LE(most, GetParam().most);
}

// On landscapes that no constant was chosen on: what is said of the doubt is what becomes of it.
class OnUnseenLandscapes : public ::testing::TestWithParam<Plan> {};

TEST_P(OnUnseenLandscapes, PlannedCellsAreWrongNoMoreOftenThanTheyAreSaidToBe) {
  double expected = 0;
  int wrong = 0;
  int planned = 0;
  const std::uint64_t landscapes = GetParam() == Plan::kThrows ? 25 : 100;  // slower without a plan
  for (std::uint64_t seed = 1001; seed < 1001 + landscapes; ++seed) {
    const Case c = random_case(seed);
    for (const FrontierCell& cell : searched(c, GetParam()).frontier) {
      const bool right =
          cell.max_batch == testing::largest_batch(c.truth, cell.lora_rank, cell.lora_layers);
      EXPECT_TRUE(right || cell.doubt) << "landscape " << seed << ": wrong, and not planned";
      planned += cell.doubt ? 1 : 0;
      expected += cell.doubt.value_or(0);
      wrong += right ? 0 : 1;
    }
  }
  std::printf("%d cells planned, %.2f said to be wrong, %d wrong\n", planned, expected, wrong);
  EXPECT_GT(planned, static_cast<int>(10 * landscapes));
  EXPECT_LE(wrong, 2 * expected + 1);
}

INSTANTIATE_TEST_SUITE_P(Plans, OnUnseenLandscapes,
                         ::testing::Values(Plan::kGood, Plan::kTwentyOver, Plan::kTwentyUnder,
                                           Plan::kThrows));

std::string name_of_plan(const ::testing::TestParamInfo<Bar>& one) {
  constexpr const char* kNames[] = {"GoodPlan",   "TwentyPercentOver", "TwentyPercentUnder",
                                    "PlanThrows", "ConstantPlan",      "RandomPlan"};
  return kNames[static_cast<int>(one.param.plan)];
}

INSTANTIATE_TEST_SUITE_P(
    Plans, OnRandomLandscapes,
    ::testing::Values(Bar{Plan::kGood, 6, 0, 6}, Bar{Plan::kTwentyOver, 6, 1, 7},
                      Bar{Plan::kTwentyUnder, 6, 2, 7}, Bar{Plan::kThrows, 14, 0, 14},
                      Bar{Plan::kConstant, 14, 0, 14}, Bar{Plan::kRandom, 14, 1, 15}),
    name_of_plan);

}  // namespace
}  // namespace loadline
