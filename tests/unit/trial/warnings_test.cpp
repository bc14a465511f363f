#include "trial/warnings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loadline {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Warnings : public testing::Test {
 protected:
  Warnings() {
    spec_.budget = 1_GiB;
    spec_.planned_steps = 5000;
    outcome_.verdict = Verdict::kFits;
    outcome_.peak = MeasuredBytes{800_MiB};
    outcome_.noise = {.cores = 8,
                      .load_average = 7.5,  // our own last trial's
                      .neighbour_cores = 0.1,
                      .available_before = 4_GiB,
                      .available_after = 4_GiB};
    steps_with({100, 100, 100, 100, 100, 100});
  }
  // RssAnon in MiB at steps 10, 11 ...; the peak stays what it was in loading.
  void steps_with(const std::vector<double>& mib) {
    outcome_.steps.clear();
    for (const double held : mib) {
      outcome_.steps.push_back({.step = static_cast<std::int64_t>(outcome_.steps.size()) + 10,
                                .peak = 800_MiB,
                                .anonymous = (1_MiB).scaled(held)});
    }
    outcome_.growth = growth_of(outcome_.steps);
  }
  [[nodiscard]] std::vector<std::string> said() const { return warnings_of(spec_, outcome_); }

  TrialSpec spec_;
  TrialOutcome outcome_;
};

TEST_F(Warnings, AQuietTrialHasNone) { EXPECT_THAT(said(), IsEmpty()); }

TEST_F(Warnings, AboveTenPercentIsSaidWithSlopeAndInterval) {
  steps_with({100, 102, 104, 106, 108, 111});
  EXPECT_THAT(said(),
              ElementsAre(HasSubstr("memory grew by +11.0 % over steps 10 to 15 (2.1 MiB ± ")));
  steps_with({100, 102, 104, 106, 108, 109});
  spec_.planned_steps = 0;
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Warnings, ASmallSlopeThatPassesTheBudgetAtTheEndIsSaid) {
  steps_with({100, 100.1, 100.2, 100.3, 100.4, 100.5});  // 800 MiB x 1.15 leaves 104 MiB
  EXPECT_THAT(said(), ElementsAre(HasSubstr("at step 5000 it would be")));
  spec_.planned_steps = 100;
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Warnings, ASlopeWithinItsIntervalIsNotExtrapolated) {
  steps_with({100, 101, 99.5, 101, 99.4, 100.6});
  EXPECT_THAT(said(), IsEmpty());
}

// The peak shows nothing of it: it was reached before.
TEST_F(Warnings, ALeakBelowAnEarlierPeakIsSeen) {
  steps_with({100, 104, 108, 112, 116, 120});
  ASSERT_TRUE(outcome_.growth.has_value());
  EXPECT_NEAR(outcome_.growth->bytes_per_step, 4.0 * 1024 * 1024, 1);
  EXPECT_NEAR(outcome_.growth->relative, 0.2, 1e-9);
}

TEST_F(Warnings, NeighboursThatComputeAreSaidWithAdvice) {
  outcome_.noise.neighbour_cores = 2.3;
  EXPECT_THAT(said(), ElementsAre(AllOf(HasSubstr("other processes used 2.3 of 8 cores"),
                                        HasSubstr("Close what else runs"))));
  outcome_.noise.neighbour_cores = 0.7;
  EXPECT_THAT(said(), IsEmpty());
  outcome_.noise.neighbour_cores.reset();
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Warnings, StepsOfDifferentSpeedsAreSaid) {
  outcome_.tokens_per_second_spread = 0.24;
  EXPECT_THAT(said(), ElementsAre(HasSubstr("speeds spread by 24 %")));
}

// Rows of many lengths make steps of many times, on the quietest machine.
TEST_F(Warnings, StepsThatOnlyHaveOtherTokensAreNoNoise) {
  outcome_.step_seconds_spread = 0.6;
  outcome_.tokens_per_second_spread = 0.02;
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(Warnings, MemoryThatNeighboursTookIsSaidWhereTheBudgetIsGone) {
  outcome_.noise.available_after = 2_GiB;
  EXPECT_THAT(said(), IsEmpty());
  outcome_.noise.available_after = 512_MiB;
  EXPECT_THAT(said(), ElementsAre(HasSubstr("took 3.50 GiB meanwhile and leave 512.0 MiB")));
}

TEST_F(Warnings, ARecordThatIsMissingIsNamed) {
  outcome_.evidence["not_written"] = {"events.jsonl: cannot be written: No space left on device"};
  EXPECT_THAT(said(), ElementsAre(HasSubstr("events.jsonl: cannot be written")));
}

}  // namespace
}  // namespace loadline
