#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "trial/observation.h"
#include "trial/statistics.h"

namespace loadline {
namespace {

TrialSpec spec_of_15() {
  TrialSpec spec;
  spec.id = 3;
  spec.budget = 115_MiB;
  spec.cap = 115_MiB;
  spec.planned = {90_MiB};
  return spec;
}

TrialObservation finished_with(Bytes peak) {
  TrialObservation seen;
  seen.report.loaded = Loaded{.seconds = 1, .planned = 90_MiB, .peak = 50_MiB};
  for (int step = 1; step <= 15; ++step) {
    seen.report.steps.push_back({step, 2.0, 0.5, 100, 60_MiB, 50_MiB});
  }
  seen.report.evaluated = Evaluated{2, 1, 60_MiB};
  seen.report.saved = Saved{60_MiB};
  seen.report.finished = Finished{peak, 40_MiB, 5_MiB, "all"};
  return seen;
}

Verdict verdict_of(const TrialObservation& seen) { return judge(spec_of_15(), seen).verdict; }

TEST(Judge, FitsUpToTheVeryByte) {
  EXPECT_EQ(verdict_of(finished_with(100_MiB)), Verdict::kFits);
  EXPECT_EQ(verdict_of(finished_with(100_MiB + 1_B)), Verdict::kExceedsBudget);
}

TEST(Judge, AMarginWithAFractionIsSaidWithIt) {
  TrialSpec spec = spec_of_15();
  spec.margin = 0.125;
  EXPECT_THAT(judge(spec, finished_with(100_MiB)).cause,
              testing::HasSubstr("with 12.5 % margin 112.5 MiB"));
}

TEST(Judge, APeakIsComparedAnewWhereTheBudgetIsAnother) {
  const TrialSpec spec = spec_of_15();
  const TrialOutcome fits = judge(spec, finished_with(100_MiB));
  const auto verdict_under = [&](Bytes budget) {
    return under_budget(spec, fits, budget)->verdict;
  };
  EXPECT_EQ(verdict_under(115_MiB), Verdict::kFits);
  EXPECT_EQ(verdict_under(200_MiB), Verdict::kFits);
  EXPECT_EQ(verdict_under(114_MiB), Verdict::kExceedsBudget);
  EXPECT_THAT(under_budget(spec, fits, 114_MiB)->cause,
              testing::HasSubstr("above the budget of 114.0 MiB"));
}

// Under a cap of 115 MiB it needed more than that: where 100 MiB may be the peak, or 115, that is
// too much; where 116 may be, nobody knows.
TEST(Judge, WhatRanOutOfMoreThanAPeakMayBeTodayIsStillDisproved) {
  TrialOutcome died;
  died.verdict = Verdict::kOutOfMemory;
  const auto verdict_under = [&](const TrialSpec& spec, Bytes budget) {
    const auto outcome = under_budget(spec, died, budget);
    return outcome ? outcome->verdict : Verdict::kInterrupted;  // open again
  };
  const TrialSpec spec = spec_of_15();
  for (const Bytes budget : {100_MiB, 115_MiB, 120_MiB, 132_MiB}) {
    EXPECT_EQ(verdict_under(spec, budget), Verdict::kOutOfMemory) << to_string(budget);
  }
  EXPECT_EQ(verdict_under(spec, 133_MiB), Verdict::kInterrupted);
  TrialSpec held = spec;
  held.cap = 100_MiB;
  EXPECT_EQ(verdict_under(held, 114_MiB), Verdict::kOutOfMemory);
  EXPECT_EQ(verdict_under(held, 116_MiB), Verdict::kInterrupted);
}

TEST(Judge, WhatIsAboveTheBudgetByLessThanIsShownSaysByHowMuch) {
  TrialSpec spec = spec_of_15();
  const Bytes needed = adjusted(80_MiB, spec.margin);
  spec.budget = needed - 3_KiB;
  EXPECT_THAT(judge(spec, finished_with(80_MiB)).cause,
              testing::HasSubstr("92.0 MiB is 3.0 KiB above the budget of 92.0 MiB. "));
  spec.budget = needed - 3_MiB;
  EXPECT_THAT(judge(spec, finished_with(80_MiB)).cause,
              testing::HasSubstr("92.0 MiB is above the budget of 89.0 MiB. "));
}

// It died of the memory of others, and was called too large by what it wanted: 103.5 MiB.
TEST(Judge, WhatRanOutAroundATrialIsOpenAgainWhereWhatItWantedIsThere) {
  TrialSpec spec = spec_of_15();
  spec.budget = spec.cap = 103_MiB;
  TrialObservation seen = finished_with(80_MiB);
  seen.cap = CapKind::kCgroupV2;
  seen.evidence = {.oom_kills = 1, .failures = 0, .was_full = false, .peak = 80_MiB};
  seen.exit.signal = SIGKILL;
  const TrialOutcome died = judge(spec, seen);
  ASSERT_EQ(died.verdict, Verdict::kOutOfMemory);
  EXPECT_TRUE(under_budget(spec, died, 102_MiB));
  EXPECT_FALSE(under_budget(spec, died, 104_MiB));
}

TEST(Judge, AMarginIsProvenAsLongAsTheBudgetHasOnlyDrifted) {
  TrialSpec spec = spec_of_15();
  EXPECT_FALSE(proves_margin(spec, spec.budget));
  spec.cap = 100_MiB;
  for (const Bytes budget : {113_MiB, 115_MiB, 200_MiB}) {
    EXPECT_TRUE(proves_margin(spec, budget)) << to_string(budget);
  }
  EXPECT_FALSE(proves_margin(spec, 112_MiB));
}

TEST(Judge, FewerStepsAreEnoughOnlyWhereTheSpecSaysSo) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.steps.resize(3);
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
  TrialSpec spec = spec_of_15();
  spec.least_steps = 3;
  EXPECT_EQ(judge(spec, seen).verdict, Verdict::kFits);
  seen.report.steps.resize(2);
  EXPECT_EQ(judge(spec, seen).verdict, Verdict::kCrashed);
  EXPECT_EQ(trial_spec_from_json(to_json(spec), "spec").least_steps, 3);
}

// What comes next is an evaluation, which may take longer than any step.
TEST(Steps, EndWithTheLastOrWhereTheWorkerMayEndEarlyOnceTheyTookLongEnough) {
  TrialSpec spec = spec_of_15();
  spec.least_steps = 3;
  const auto ended_after = [&](std::int64_t count, double seconds) {
    std::vector<TrialStep> steps = finished_with(80_MiB).report.steps;
    steps.resize(static_cast<std::size_t>(count));
    for (TrialStep& step : steps) step.seconds = seconds;
    return spec.ends_after(steps);
  };
  EXPECT_FALSE(ended_after(0, 0));
  EXPECT_FALSE(ended_after(2, 90));
  EXPECT_TRUE(ended_after(3, 40));
  EXPECT_FALSE(ended_after(11, 10));
  EXPECT_TRUE(ended_after(12, 10));
  EXPECT_TRUE(ended_after(15, 0.5));
  spec.least_steps = 0;
  EXPECT_FALSE(ended_after(14, 40)) << "all of them are run";
  EXPECT_TRUE(ended_after(15, 40));
}

TEST(Judge, OfABatchOfOneNoSmallerOneIsAdvised) {
  TrialSpec spec = spec_of_15();
  spec.batch_size = 2;
  EXPECT_THAT(judge(spec, finished_with(110_MiB)).cause,
              testing::HasSubstr("Lower the batch size"));
  spec.batch_size = 1;
  EXPECT_THAT(judge(spec, finished_with(110_MiB)).cause, testing::HasSubstr("Lower the rank"));
}

TEST(Judge, TheLargerOfTheTwoPeaksCounts) {
  TrialObservation seen = finished_with(80_MiB);
  seen.memory.peak = 101_MiB;  // the worker told less than was seen from outside
  EXPECT_EQ(verdict_of(seen), Verdict::kExceedsBudget);
  EXPECT_EQ(judge(spec_of_15(), seen).peak->bytes, 101_MiB);
}

TEST(Judge, AnOomKillInsideIsNeverSuccess) {
  TrialObservation seen = finished_with(80_MiB);
  seen.cap = CapKind::kCgroupV2;
  seen.evidence.oom_kills = 1;  // of a child of the worker, which itself lived on
  EXPECT_EQ(verdict_of(seen), Verdict::kOutOfMemory);
}

TEST(Judge, ASigkillNeedsEvidence) {
  TrialObservation seen = finished_with(80_MiB);
  seen.cap = CapKind::kCgroupV1;
  seen.report.finished.reset();
  seen.exit.signal = SIGKILL;
  EXPECT_EQ(verdict_of(seen), Verdict::kKilled);
  EXPECT_THAT(judge(spec_of_15(), seen).cause, testing::HasSubstr("Type the same command again"));
  seen.evidence.oom_kills = 0;
  EXPECT_EQ(verdict_of(seen), Verdict::kKilled);
  seen.evidence.oom_kills = 2;
  EXPECT_EQ(verdict_of(seen), Verdict::kOutOfMemory);
}

// Neighbours took what the budget had promised: that is no "does not fit".
TEST(Judge, AnEndThatNobodyTellsIsNoSuccess) {
  TrialObservation seen = finished_with(80_MiB);
  seen.exit.is_known = false;
  EXPECT_EQ(verdict_of(seen), Verdict::kKilled);
  EXPECT_THAT(judge(spec_of_15(), seen).cause, testing::HasSubstr("cause unknown"));
}

TEST(Judge, AnOomKillBelowItsOwnCeilingIsTheNeighboursFault) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.exit.signal = SIGKILL;
  seen.cap = CapKind::kCgroupV2;
  seen.memory.peak = 80_MiB;
  seen.evidence = {.oom_kills = 1, .failures = 0, .was_full = false, .peak = 80_MiB};
  const TrialOutcome outcome = judge(spec_of_15(), seen);
  EXPECT_EQ(outcome.verdict, Verdict::kRefused);
  EXPECT_THAT(outcome.cause, testing::HasSubstr("oom_kill 1"));
  EXPECT_THAT(outcome.cause, testing::HasSubstr("it held 80.0 MiB"));
  EXPECT_THAT(outcome.cause, testing::HasSubstr("its ceiling of 115.0 MiB was not met"));
  seen.evidence.was_full = true;
  EXPECT_EQ(verdict_of(seen), Verdict::kOutOfMemory);
}

// MemAvailable is an estimate: the machine may run out just before a cap as large as that is met.
TEST(Judge, AnOomKillOfOneThatWantsMoreThanTheBudgetIsItsOwn) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.exit.signal = SIGKILL;
  seen.cap = CapKind::kCgroupV2;
  seen.evidence = {.oom_kills = 1, .failures = 0, .was_full = false, .peak = 80_MiB};
  seen.memory.peak = 101_MiB;  // 101 x 1.15 > 115
  EXPECT_EQ(verdict_of(seen), Verdict::kOutOfMemory);
  seen.memory.peak = 80_MiB;
  TrialSpec spec = spec_of_15();
  spec.planned = {101_MiB};  // killed before it had taken all of it
  EXPECT_EQ(judge(spec, seen).verdict, Verdict::kOutOfMemory);
}

// Under RLIMIT_DATA the count is that of the group in which we live with others.
TEST(Judge, AnOomKillOfSomebodyElseIsNotTheTrials) {
  TrialObservation seen = finished_with(80_MiB);
  seen.cap = CapKind::kRlimit;
  seen.evidence.oom_kills = 1;
  EXPECT_EQ(verdict_of(seen), Verdict::kFits);
  seen.exit = {.code = 3, .signal = 0};
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
  seen.exit = {.code = 0, .signal = SIGKILL};
  seen.report.finished.reset();
  EXPECT_EQ(verdict_of(seen), Verdict::kRefused) << "killed below its budget";
  seen.memory.peak = 101_MiB;
  EXPECT_EQ(verdict_of(seen), Verdict::kOutOfMemory);
  seen.ending = Ending::kTimedOut;  // then it was we who killed it
  EXPECT_EQ(verdict_of(seen), Verdict::kTimedOut);
}

// Pages in swap are needed too, and VmHWM does not count them.
TEST(Judge, WhatWentToSwapCounts) {
  TrialObservation seen = finished_with(80_MiB);
  seen.memory.peak = 80_MiB;
  seen.memory.swapped = 40_MiB;
  seen.held = 101_MiB;
  EXPECT_EQ(verdict_of(seen), Verdict::kExceedsBudget);
  EXPECT_EQ(judge(spec_of_15(), seen).peak->bytes, 101_MiB);
}

TEST(Judge, AWorkerThatNeverCameUnderItsCeilingProvesNothing) {
  TrialObservation seen = finished_with(80_MiB);
  seen.cap = CapKind::kSystemdScope;
  seen.was_capped = false;
  seen.stderr_tail = "Failed to start transient scope unit: Access denied\n";
  const TrialOutcome outcome = judge(spec_of_15(), seen);
  EXPECT_EQ(outcome.verdict, Verdict::kRefused);
  EXPECT_THAT(outcome.cause, testing::HasSubstr("Access denied"));
}

TEST(Judge, MeetingTheCeilingWithoutAKillIsNoEvidence) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.exit.signal = SIGKILL;
  seen.evidence.failures = 500;  // the kernel dropped file cache: ordinary
  EXPECT_EQ(verdict_of(seen), Verdict::kKilled);
}

TEST(Judge, ATimeoutIsNoSuccessEvenWithAResult) {
  TrialObservation seen = finished_with(80_MiB);
  seen.ending = Ending::kTimedOut;
  EXPECT_EQ(verdict_of(seen), Verdict::kTimedOut);
}

TEST(Judge, AnInterruptedTrialIsOnlyThat) {
  TrialObservation seen = finished_with(80_MiB);
  seen.ending = Ending::kInterrupted;
  seen.exit.signal = SIGTERM;
  EXPECT_EQ(verdict_of(seen), Verdict::kInterrupted);
}

TEST(Judge, AWorkerThatWasAskedToEndAndNotByUsWasEndedFromOutside) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.report.failed = Failed{Verdict::kInterrupted, "it was asked to end"};
  const TrialOutcome outcome = judge(spec_of_15(), seen);
  EXPECT_EQ(outcome.verdict, Verdict::kInterrupted);
  EXPECT_EQ(outcome.cause, "interrupted from outside after step 15 of 15: it was asked to end");
}

TEST(Judge, ACrashAfterTheResultIsStillACrash) {
  TrialObservation seen = finished_with(80_MiB);
  seen.exit.signal = SIGSEGV;
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
  seen.exit = {.code = 1, .signal = 0};
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
}

TEST(Judge, ANotFiniteLossIsDivergedEvenWithAResult) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.steps[7].loss = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(verdict_of(seen), Verdict::kDiverged);
}

TEST(Judge, ATrialThatDivergedIsNotToldOfALearningRateThatItCannotBeGiven) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.report.steps.clear();
  seen.report.failed = Failed{Verdict::kDiverged, "the loss is nan at step 1"};
  EXPECT_EQ(
      judge(spec_of_15(), seen).cause,
      "diverged before its first step: the loss is nan at step 1. Look at the model's weights "
      "and at the data");
}

TEST(Judge, ACauseBehindItsVerdictsNameDoesNotSayItAgain) {
  TrialOutcome outcome;
  const auto said = [&](Verdict verdict, const std::string& cause) {
    outcome.verdict = verdict;
    outcome.cause = cause;
    return cause_after_name(outcome);
  };
  EXPECT_EQ(said(Verdict::kRefused, "refused: the disk is full"), "the disk is full");
  EXPECT_EQ(said(Verdict::kInterrupted, "interrupted after step 1 of 5"), "after step 1 of 5");
  EXPECT_EQ(said(Verdict::kBadInput, "bad input: no rows"), "no rows");
  EXPECT_EQ(said(Verdict::kInterrupted, "the time limit was reached"),
            "the time limit was reached");
  EXPECT_EQ(said(Verdict::kRefused, "refused"), "refused");
}

TEST(Judge, WithoutAnEvaluationOrASaveItHasNotShownThatItFits) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.evaluated.reset();
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
  seen = finished_with(80_MiB);
  seen.report.saved.reset();
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
}

TEST(Judge, AFullDiskOfTheWorkerIsARefusalAndNotACrash) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.finished.reset();
  seen.report.failed = Failed{Verdict::kRefused, "adapter: No space left on device"};
  seen.exit.code = 4;
  const TrialOutcome outcome = judge(spec_of_15(), seen);
  EXPECT_EQ(outcome.verdict, Verdict::kRefused);
  EXPECT_THAT(outcome.cause, testing::HasSubstr("No space left on device"));
}

TEST(Judge, PhasesAndSpeedComeFromTheEvents) {
  TrialObservation seen = finished_with(80_MiB);
  seen.report.steps[0] = {1, 2.0, 9.0, 100, 55_MiB, 50_MiB};
  seen.report.evaluated = Evaluated{2, 1, 70_MiB};
  seen.report.saved = Saved{75_MiB};
  const TrialOutcome outcome = judge(spec_of_15(), seen);
  EXPECT_EQ(outcome.phases.load, 50_MiB);
  EXPECT_EQ(outcome.phases.first_step, 55_MiB);
  EXPECT_EQ(outcome.phases.steady, 60_MiB);
  EXPECT_EQ(outcome.phases.evaluation, 70_MiB);
  EXPECT_EQ(outcome.phases.save, 75_MiB);
  EXPECT_DOUBLE_EQ(outcome.step_seconds, 0.5);
  EXPECT_DOUBLE_EQ(outcome.tokens_per_second, 200);
  EXPECT_EQ(outcome.tokens_per_second_spread, 0.0);
}

TEST(Judge, AnOutcomeSurvivesItsDocument) {
  TrialObservation seen = finished_with(80_MiB);
  seen.evidence = {.oom_kills = 0, .failures = 3, .was_full = false, .peak = 99_MiB};
  seen.stderr_tail = "two\nlines \xff";
  for (TrialStep& step : seen.report.steps) step.reference = {512, 0.25};
  TrialOutcome outcome = judge(spec_of_15(), seen);
  const std::string text = to_json(outcome).dump(-1, ' ', false, Json::error_handler_t::replace);
  const TrialOutcome back = trial_outcome_from_json(parse_json(text, "test"), "test");
  EXPECT_EQ(to_json(back).dump(), text);
  EXPECT_EQ(back.cgroup_peak, 99_MiB);
}

TEST(Judge, StepsOfAnyLengthGiveAnOutcomeThatCanBeReadAgain) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  TrialObservation seen = finished_with(80_MiB);
  for (const double even : {0.0, 1e-300, 1e-9, 1e10}) {
    for (const double odd : {0.0, 1e-300, 1e-9, 1e10}) {
      for (TrialStep& step : seen.report.steps) {
        step.seconds = step.step % 2 == 0 ? even : odd;
        step.tokens = step.step % 3 == 0 ? 1 : kMost;
      }
      const Json document = to_json(judge(spec_of_15(), seen));
      const Json read = parse_json(document.dump(), "outcome");
      EXPECT_EQ(to_json(trial_outcome_from_json(read, "outcome")).dump(), document.dump());
    }
  }
}

TEST(TrialDocuments, VerdictsHaveTheirNames) {
  for (int i = 0; i <= static_cast<int>(Verdict::kInterrupted); ++i) {
    const auto verdict = static_cast<Verdict>(i);
    EXPECT_EQ(verdict_from(name_of(verdict)), verdict);
  }
  EXPECT_THROW(verdict_from("OOM"), Error);
}

TEST(TrialDocuments, AVerdictOfAPeakNeedsOne) {
  const TrialObservation seen = finished_with(80_MiB);
  for (const Bytes budget : {115_MiB, 60_MiB}) {
    TrialSpec spec = spec_of_15();
    spec.budget = budget;
    Json document = to_json(judge(spec, seen));
    EXPECT_NO_THROW(trial_outcome_from_json(document, "outcome"));
    for (const Json& none : {Json(nullptr), Json(0)}) {
      document["peak_bytes"] = none;
      EXPECT_THROW(trial_outcome_from_json(document, "outcome"), Error) << document["verdict"];
    }
  }
}

TEST(Judge, WithoutAnyPeakItHasNotShownThatItFits) {
  TrialObservation seen = finished_with({});
  seen.report.loaded->peak = seen.report.evaluated->peak = seen.report.saved->peak = {};
  for (TrialStep& step : seen.report.steps) step.peak = {};
  EXPECT_EQ(verdict_of(seen), Verdict::kCrashed);
}

TEST(TrialDocuments, HostileSpecsAreRefused) {
  const Json good = to_json(spec_of_15());
  EXPECT_EQ(to_json(trial_spec_from_json(good, "spec")), good);
  const std::vector<std::pair<const char*, Json>> changes{{"budget_bytes", 0},
                                                          {"cap_bytes", 0},
                                                          {"id", 1LL << 40},
                                                          {"id", INT32_MAX},
                                                          {"id", 1'000'001},
                                                          {"id", 0},
                                                          {"id", -1},
                                                          {"batch_size", 0},
                                                          {"batch_size", 1'000'000'000},
                                                          {"lora_rank", 0},
                                                          {"lora_rank", 16385},
                                                          {"steps", -3},
                                                          {"steps", 1e300},
                                                          {"budget_bytes", -1},
                                                          {"cap_bytes", "many"},
                                                          {"margin", -0.1},
                                                          {"margin", 1e300},
                                                          {"time_limit_ms", INT64_MAX},
                                                          {"planned_bytes", nullptr}};
  for (const auto& [key, value] : changes) {
    Json bad = good;
    bad[key] = value;
    try {
      trial_spec_from_json(bad, "spec.json");
      ADD_FAILURE() << key << " = " << value << " was accepted";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("spec.json: '" + std::string(key)));
    }
  }
}

std::vector<TrialStep> steps_with_peaks(const std::vector<double>& mib, std::int64_t first) {
  std::vector<TrialStep> steps;
  for (std::size_t i = 0; i < mib.size(); ++i) {
    TrialStep step;
    step.step = first + static_cast<std::int64_t>(i);
    step.peak = Bytes{static_cast<std::uint64_t>(mib[i] * (1 << 20))};
    steps.push_back(step);
  }
  return steps;
}

TEST(Growth, LevelPeaksNeitherWarnNorRise) {
  const auto growth = growth_of(steps_with_peaks({333.3, 333.3, 333.3, 333.3, 333.3, 333.3}, 10));
  ASSERT_TRUE(growth.has_value());
  EXPECT_EQ(growth->bytes_per_step, 0);
  EXPECT_FALSE(growth->rises());
  EXPECT_FALSE(growth->warns());
}

TEST(Growth, AStraightLeakIsMeasuredToTheByte) {
  const auto growth = growth_of(steps_with_peaks({100, 103, 106, 109, 112, 115}, 10));
  ASSERT_TRUE(growth.has_value());
  EXPECT_NEAR(growth->bytes_per_step, 3.0 * (1 << 20), 1e-3);
  EXPECT_NEAR(growth->half_width, 0, 1e-3);
  EXPECT_NEAR(growth->relative, 0.15, 1e-12);
  EXPECT_TRUE(growth->rises());
  EXPECT_TRUE(growth->warns());
}

TEST(Growth, TheIntervalIsStudents) {
  const auto growth = growth_of(steps_with_peaks({100, 103, 102, 106}, 12));
  ASSERT_TRUE(growth.has_value());
  // y against x = -1.5 -0.5 0.5 1.5: sxy = 8.5, slope 1.7, SSE = 18.75 - 8.5^2 / 5 = 4.3.
  EXPECT_NEAR(growth->bytes_per_step / (1 << 20), 1.7, 1e-9);
  EXPECT_NEAR(growth->half_width / (1 << 20), 4.303 * std::sqrt(4.3 / 2 / 5), 1e-9);
  EXPECT_FALSE(growth->rises());
}

TEST(Growth, EarlyStepsAreNotGrowth) {
  EXPECT_FALSE(growth_of(steps_with_peaks({1, 2, 3, 4, 5, 6, 7, 8, 9}, 1)).has_value());
  EXPECT_FALSE(growth_of(steps_with_peaks({1, 2}, 10)).has_value());
  const auto late =
      growth_of(steps_with_peaks({1, 50, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100}, 1));
  ASSERT_TRUE(late.has_value());
  EXPECT_EQ(late->relative, 0);
}

std::vector<TrialStep> steps_of_400_tokens(const std::vector<double>& seconds) {
  std::vector<TrialStep> steps;
  for (const double one : seconds) {
    steps.push_back({static_cast<std::int64_t>(steps.size()) + 1, 2, one, 400, {}, {}});
  }
  return steps;
}

TEST(Speed, MedianAndSpreadOfSteadySteps) {
  const StepSpeed speed = speed_of(steps_of_400_tokens({9, 5, 1, 2, 4, 2}));
  EXPECT_DOUBLE_EQ(speed.step_seconds, 2);
  EXPECT_DOUBLE_EQ(speed.tokens_per_second, 200);  // of 400, 200, 100, 200
  EXPECT_DOUBLE_EQ(speed.spread.value_or(-1), (250.0 - 175.0) / 2 / 200);
  EXPECT_DOUBLE_EQ(speed.step_seconds_spread.value_or(-1), (2.5 - 1.75) / 2 / 2);
  EXPECT_DOUBLE_EQ(speed_of({}).tokens_per_second, 0);
}

TEST(Speed, APaceIsWhatStepsDoInTheirReferencesTime) {
  std::vector<TrialStep> steps = steps_of_400_tokens({9, 5, 1, 2, 4, 2});
  const std::vector<double> references = {7, 9, 0.5, 1, 2, 4};
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i].reference = {512, references[i]};
  const std::optional<Pace> pace = speed_of(steps).pace;
  ASSERT_TRUE(pace);
  EXPECT_EQ(pace->reference.tokens, 512);
  EXPECT_DOUBLE_EQ(pace->reference.seconds, 1.5);     // of 0.5, 1, 2, 4
  EXPECT_DOUBLE_EQ(pace->tokens_per_reference, 200);  // of 200, 200, 200, 800
}

TEST(Speed, WithoutAReferenceOfTheSameTokensAtEachSteadyStepThereIsNoPace) {
  std::vector<TrialStep> steps = steps_of_400_tokens({9, 5, 1, 2, 4, 2});
  for (TrialStep& step : steps) step.reference = {512, 1};
  steps[0].reference.reset();
  EXPECT_TRUE(speed_of(steps).pace);
  steps[3].reference = {511, 1};
  EXPECT_FALSE(speed_of(steps).pace);
  steps[3].reference.reset();
  EXPECT_FALSE(speed_of(steps).pace);
}

// A trial that was shortened has three steps: its speed does not rest on the last alone.
TEST(Speed, OfFewStepsOnlyTheFirstIsLeftOutAndOfFewerThanThreeTheSpreadIsUnknown) {
  const StepSpeed few = speed_of(steps_of_400_tokens({9, 4, 2}));
  EXPECT_DOUBLE_EQ(few.step_seconds, 3);
  EXPECT_DOUBLE_EQ(few.tokens_per_second, 150);
  EXPECT_FALSE(few.spread || few.step_seconds_spread);
  const StepSpeed more = speed_of(steps_of_400_tokens({9, 4, 2, 1}));
  EXPECT_DOUBLE_EQ(more.tokens_per_second, 200);
  EXPECT_TRUE(more.spread && more.step_seconds_spread);
}

TEST(Judge, ASpreadThatIsUnknownIsNoneInTheDocument) {
  TrialSpec spec = spec_of_15();
  spec.least_steps = 3;
  TrialObservation seen = finished_with(80_MiB);
  seen.report.steps.resize(3);
  const Json document = to_json(judge(spec, seen));
  EXPECT_TRUE(document["tokens_per_second_spread"].is_null());
  EXPECT_TRUE(document["step_seconds_spread"].is_null());
  EXPECT_FALSE(trial_outcome_from_json(document, "outcome").tokens_per_second_spread);
}

// They are its worst batches: the median of the others is no bound for the next trial's.
TEST(Speed, TheLongestStepMayBeOneOfTheFirst) {
  EXPECT_DOUBLE_EQ(longest_step(steps_of_400_tokens({9, 5, 1, 2})), 9);
  EXPECT_DOUBLE_EQ(longest_step({}), 0);
}

}  // namespace
}  // namespace loadline
