#include "commands/find_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/file.h"

namespace loadline {
namespace {

TEST(FindSession, WhatATrialOfAKilledSearchHadSavedIsRemovedWhenTheSearchGoesOn) {
  const TemporaryFolder folder;
  TrialSpec spec;
  spec.id = 1;
  spec.batch_size = spec.lora_rank = spec.lora_layers = 1;
  spec.budget = spec.cap = 1_GiB;
  Journal(folder.path()).started(spec);
  const auto trial = trial_folder(folder.path(), spec.id);
  make_folder(trial / "adapter");
  replace_file(trial / "adapter/training_state.safetensors.loadline-AbCdEf", "moments");
  replace_file(trial / "spec.json", "{}");
  const Workload workload;
  const FindQuestion question;
  TerminalView view(stderr, false);
  const FindSession session(workload, MachineFacts{}, question, folder.path(), view);
  EXPECT_FALSE(is_there(trial / "adapter"));
  EXPECT_TRUE(is_there(trial / "spec.json"));
}

// Of a search over a journal with this one trial, where the training to come has so many steps.
std::string growth_told(const TrialSpec& spec, const TrialOutcome& outcome, std::int64_t steps) {
  const TemporaryFolder folder;
  {
    Journal journal(folder.path());
    journal.started(spec);
    journal.finished(spec, outcome);
  }
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  {
    const Workload workload;
    const MachineFacts machine;
    FindQuestion question;
    question.limits.budget = spec.budget;
    question.planned_steps = steps;
    TerminalView view(out, false);
    FindSession(workload, machine, question, folder.path(), view).say_growth_of_earlier(spec.id);
  }
  (void)std::fclose(out);
  std::string told(text, size);
  std::free(text);  // NOLINT: open_memstream gives memory of malloc
  return told;
}

TEST(FindSession, TheGrowthOfATrialThatIsKnownIsToldForTheTrainingThatIsToComeNow) {
  TrialSpec spec;
  spec.id = 1;
  spec.steps = 15;
  spec.batch_size = spec.lora_rank = spec.lora_layers = 1;
  spec.budget = spec.cap = 1_GiB;
  spec.planned_steps = 15;
  TrialOutcome outcome;
  outcome.verdict = Verdict::kFits;
  outcome.peak = MeasuredBytes{800_MiB};
  outcome.growth = Growth{.relative = 0.01, .bytes_per_step = 1e5, .half_width = 1e3};
  outcome.steps.push_back(
      {.step = 15, .loss = 1, .seconds = 1, .tokens = 1, .peak = 800_MiB, .anonymous = {}});
  EXPECT_EQ(growth_told(spec, outcome, 15), "");
  EXPECT_THAT(growth_told(spec, outcome, 5000), testing::HasSubstr("at step 5000 it would be"));
}

}  // namespace
}  // namespace loadline
