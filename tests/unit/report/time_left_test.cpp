// The time that is said to be left after the first trial, against what the rest then took. The
// clock is made: trials bring along the seconds that their machine would have needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>
#include <random>

#include "report/progress.h"
#include "unit/search/landscape.h"

namespace loadline {
namespace {

using ::testing::EndsWith;
using testing::Landscape;

constexpr std::int64_t kSteps = 15;
constexpr double kTokensARow = 500;
constexpr double kWithin = 1.5;

struct Machine {
  Landscape land;
  SearchSpace space{{8, 16, 32, 64}, {4, 8, 16, 24}, 24};
  SearchLimits limits;
  double start = 0;  // loading
};

// Times that `slowness` stretches: with 1 most trials are ended when their steps are enough, with
// 0.01 none is.
Machine random_machine(std::uint64_t seed, double slowness) {
  std::mt19937_64 random(seed);
  const auto between = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  Machine m;
  m.land.seed = random();
  m.land.fixed = between(100, 2000);
  m.land.token = between(20, 200);
  m.land.activation = between(0.5, 12);
  m.land.adapter = between(0.02, 0.5);
  m.land.layer = between(1, 20);
  m.land.noise = between(0, 5e-4);
  m.land.speed_noise = 0.05;
  // A token goes forward through 24 layers, and back through those that are trained.
  const double forward = slowness * between(1e-4, 2e-3);
  m.land.token_fixed = forward;
  m.land.token_layer = 2 * forward / 24;
  m.land.token_shared = forward / 10;
  m.land.token_adapter *= slowness;
  m.start = slowness * between(1, 20);
  if (seed % 3 == 1) m.land.step = between(8, 64);
  m.limits.objective = static_cast<Objective>(seed % 3);
  const Configuration at{1 + static_cast<std::int64_t>(random() % 24), 32, 16};
  m.limits.budget = adjusted(m.land.peak(at), m.limits.margin).scaled(between(1.0, 1.05));
  return m;
}

// A trial with its steps and the seconds of all of it; one that runs out of memory dies in its
// first step, and only one under its margin runs more steps than are enough.
RunTrial run(const Machine& m, const Question& question) {
  RunTrial trial = m.land.run(question, m.limits);
  const Configuration& c = question.configuration;
  const double tokens = static_cast<double>(c.batch_size) * kTokensARow;
  trial.outcome.step_seconds = tokens / m.land.speed(c);
  trial.outcome.seconds = m.start;
  if (trial.outcome.verdict == Verdict::kOutOfMemory) return trial;
  double in_steps = 0;
  double in_references = 0;
  std::optional<Reference> reference;
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    if (step > 1 && in_references <= std::max(1.0, 0.1 * in_steps)) {
      reference = {
          .tokens = static_cast<std::int64_t>(kTokensARow),
          .seconds = kTokensARow * m.land.token_fixed * (1 + 1e-3 * m.land.chance(c, step))};
      in_references += reference->seconds;
    }
    TrialStep one;
    one.step = step;
    one.seconds = trial.outcome.step_seconds;
    one.reference = reference;
    trial.outcome.steps.push_back(one);
    in_steps += one.seconds;
    const bool is_enough = step >= kLeastSteps && in_steps >= kEnoughStepSeconds;
    if (is_enough && !question.under_margin) break;
  }
  // An evaluation is about two steps.
  trial.outcome.seconds += in_steps + in_references + 2 * trial.outcome.step_seconds;
  return trial;
}

// What was said after the first trial over what it then took; nothing when there was no second.
std::optional<TimeLeft> said_over_true(const Machine& m) {
  Progress progress;
  std::optional<TimeLeft> said;
  double took = 0;
  std::size_t trials = 0;
  SearchFunctions functions;
  functions.estimate = [&](const Configuration& c) {
    const double mib = m.land.mib_without_noise(c) * (1 + 0.001 * m.land.chance(c, 3));
    return PredictedBytes{Bytes{static_cast<std::uint64_t>(mib * (1 << 20))}};
  };
  functions.outlook = [&](const Outlook& outlook) {
    progress.expects(outlook);
    if (trials == 1) said = progress.time_left();
  };
  functions.run = [&](const Question& question) {
    TrialSpec spec;
    spec.steps = kSteps;
    spec.least_steps = question.under_margin ? 0 : kLeastSteps;
    progress.trial_begins(spec, question.configuration);
    RunTrial trial = run(m, question);
    progress.trial_ends(trial.outcome);
    if (trials++ > 0) took += trial.outcome.seconds;
    return trial;
  };
  (void)search(m.space, m.limits, functions, {});
  if (!said) return std::nullopt;
  return TimeLeft{
      .seconds = said->seconds / took, .least = said->least / took, .most = said->most / took};
}

struct Wrong {
  int machines = 0;  // of 30, where the mean is off by more than kWithin
  double farthest = 1;
  int ranges = 0;  // said instead of one number
  int said = 0;    // machines where what was said, the number or the nearer end, is so far off
};

double off(double ratio) { return std::max(ratio, 1 / ratio); }

Wrong wrong_on_machines(double slowness) {
  Wrong wrong;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const auto ratio = said_over_true(random_machine(seed, slowness));
    if (!ratio) continue;
    wrong.farthest = std::max(wrong.farthest, off(ratio->seconds));
    wrong.machines += off(ratio->seconds) > kWithin ? 1 : 0;
    const bool is_range = !ratio->is_one_number();
    wrong.ranges += is_range ? 1 : 0;
    const double said = is_range ? std::clamp(1.0, ratio->least, ratio->most) : ratio->seconds;
    wrong.said += off(said) > kWithin ? 1 : 0;
  }
  std::printf(
      "farthest off: %.2f times; above %.1f in %d of 30; %d ranges, of what is said %d off\n",
      wrong.farthest, kWithin, wrong.machines, wrong.ranges, wrong.said);
  return wrong;
}

// Where the mean is not, fewer trials were needed than on most of the ways ahead, or one died in
// its first step. There the ways lie far apart, and a range is said.
TEST(TimeLeftAfterTheFirstTrial, IsRightWithinAFactorOfOneAndAHalf) {
  const Wrong wrong = wrong_on_machines(0.01);
  EXPECT_EQ(wrong.said, 0);
  EXPECT_LE(wrong.ranges, 12);
  EXPECT_LE(wrong.machines, 2);
  EXPECT_LE(wrong.farthest, 2.2);
}

// A trial under its margin then takes many times as long as another, and weighs so.
TEST(TimeLeftAfterTheFirstTrial, IsHardlyWorseWhereSlowTrialsAreEnded) {
  const Wrong wrong = wrong_on_machines(1);
  EXPECT_EQ(wrong.said, 0);
  EXPECT_LE(wrong.ranges, 12);
  EXPECT_LE(wrong.machines, 3);
  EXPECT_LE(wrong.farthest, 2.2);
}

// The most layers that are expected stand for the model's, and may become known after a trial.
TEST(TimeLeft, IsTheSameWheneverTheMostLayersBecomeKnown) {
  const ExpectedTrial few{{8, 64, 8}};
  const ExpectedTrial most{{2, 8, 24}};
  const auto left = [&](const Outlook& before) {
    Progress progress;
    progress.expects(before);
    TrialSpec spec;
    spec.steps = 2;
    progress.trial_begins(spec, few.configuration);
    TrialOutcome outcome;
    TrialStep step;
    step.seconds = 3;
    outcome.steps.assign(2, step);
    outcome.seconds = 7;
    progress.trial_ends(outcome);
    progress.expects({.trials_done = 1, .ways = {{few, most}}});
    return progress.time_left().value_or(TimeLeft{}).seconds;
  };
  EXPECT_EQ(left({.trials_done = 0, .ways = {{few}}}),
            left({.trials_done = 0, .ways = {{few, most}}}));
}

TEST(TimeLeft, IsARangeWhereTheWaysLieFarApart) {
  Progress progress;
  TrialSpec spec;
  spec.steps = 2;
  progress.trial_begins(spec, {1, 8, 4});
  TrialOutcome outcome;
  TrialStep step;
  step.seconds = 15;
  outcome.steps.assign(2, step);
  outcome.seconds = 30;
  progress.trial_ends(outcome);
  const ExpectedTrial next{.configuration = {1, 8, 4}, .under_margin = true};
  progress.expects({.trials_done = 1, .ways = {{next, next, next, next}, {next, next, next}}});
  EXPECT_THAT(progress.bar(), EndsWith("about 2 min left"));
  progress.expects({.trials_done = 1, .ways = {{next, next, next, next}, {next}}});
  EXPECT_THAT(progress.bar(), EndsWith("of about 5, 30 s to 2 min left"));
}

// Steps of 100 s each: three of them are more than enough, but all run under the margin.
TEST(TimeLeft, SlowTrialsEndWhereTheirStepsAreEnough) {
  const auto left = [](bool under_margin) {
    Progress progress;
    TrialSpec spec;
    spec.steps = 15;
    spec.least_steps = kLeastSteps;
    const ExpectedTrial next{.configuration = {1, 8, 4}, .under_margin = under_margin};
    progress.trial_begins(spec, next.configuration);
    TrialOutcome outcome;
    TrialStep step;
    step.seconds = 100;
    outcome.steps.assign(3, step);
    outcome.seconds = 300;
    progress.trial_ends(outcome);
    progress.expects({.trials_done = 1, .ways = {{next}}});
    return progress.time_left().value_or(TimeLeft{}).seconds;
  };
  EXPECT_DOUBLE_EQ(left(false), 300);
  EXPECT_DOUBLE_EQ(left(true), 1500);
}

// Steps of 10 s, before each but the first a reference, and 5 s for the rest.
TEST(TimeLeft, ReferenceWorkIsOfATrialsStepsAndNotOfItsStart) {
  const auto left = [](const std::vector<double>& references, std::int64_t batch, bool dies) {
    Progress progress;
    TrialSpec spec;
    spec.steps = 3;
    progress.trial_begins(spec, {1, 8, 4});
    TrialOutcome outcome;
    outcome.seconds = 5;
    for (std::size_t i = 0; i < 3; ++i) {
      TrialStep step;
      step.step = static_cast<std::int64_t>(i) + 1;
      step.seconds = 10;
      outcome.seconds += step.seconds;
      if (i > 0) step.reference = Reference{.tokens = 512, .seconds = references[i - 1]};
      // The same time is that of no new work.
      if (i == 1 || (i > 1 && references[1] != references[0])) outcome.seconds += references[i - 1];
      outcome.steps.push_back(step);
    }
    progress.trial_ends(outcome);
    progress.expects(
        {.trials_done = 1,
         .ways = {{{.configuration = {batch, 8, 4}, .dies = dies, .under_margin = true}}}});
    return progress.time_left().value_or(TimeLeft{}).seconds;
  };
  EXPECT_NEAR(left({1, 1.01}, 1, true), 5, 0.01);
  EXPECT_NEAR(left({1, 1.01}, 1, false), 37, 0.1);
  EXPECT_NEAR(left({4, 4}, 1, true), 5, 0.01) << "its one time stands beside two steps";
  EXPECT_NEAR(left({1, 1.01}, 20, false), 607, 0.1) << "as much work, however long the steps";
}

TEST(TimeLeft, ARunningTrialHasNoMoreStepsThanAreEnough) {
  const auto left_after = [](std::int64_t steps, std::int64_t least_steps) {
    Progress progress;
    TrialSpec spec;
    spec.steps = 15;
    spec.least_steps = least_steps;
    progress.trial_begins(spec, {1, 8, 4});
    for (std::int64_t step = 1; step <= steps; ++step) {
      TrialStep one;
      one.step = step;
      one.seconds = 50;
      progress.trial_event(Stepped{one});
    }
    return progress.time_left().value_or(TimeLeft{-1}).seconds;
  };
  EXPECT_DOUBLE_EQ(left_after(1, 3), 100);
  EXPECT_DOUBLE_EQ(left_after(3, 3), 0);
  EXPECT_DOUBLE_EQ(left_after(1, 0), 700);
}

}  // namespace
}  // namespace loadline
