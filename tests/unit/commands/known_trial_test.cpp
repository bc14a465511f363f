#include "commands/known_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "trial/left_running.h"

namespace loadline {
namespace {

using testing::ElementsAre;

JournalEntry ended(int id, std::int64_t batch, Verdict verdict) {
  JournalEntry entry;
  entry.spec.id = id;
  entry.spec.batch_size = batch;
  entry.outcome.emplace().verdict = verdict;
  return entry;
}

std::vector<int> asked_again(const std::vector<JournalEntry>& entries) {
  std::vector<int> ids;
  for (const JournalEntry* entry : asked_once_more(entries, [](const TrialSpec& spec) {
         return Configuration{spec.batch_size, spec.lora_rank, spec.lora_layers};
       })) {
    ids.push_back(entry->spec.id);
  }
  return ids;
}

TEST(KnownTrial, WhatWasKilledFromOutsideIsAskedOnceMore) {
  EXPECT_THAT(asked_again({ended(1, 3, Verdict::kFits), ended(2, 4, Verdict::kKilled),
                           ended(3, 5, Verdict::kCrashed)}),
              ElementsAre(2));
}

TEST(KnownTrial, ASecondKillOfTheSameConfigurationStandsUnderAnotherBudgetToo) {
  JournalEntry later = ended(3, 4, Verdict::kKilled);
  later.spec.cap = 5_MiB;
  EXPECT_THAT(asked_again({ended(1, 4, Verdict::kKilled), ended(2, 8, Verdict::kKilled), later}),
              ElementsAre(2));
}

TEST(KnownTrial, ATrialUnderWhichTheMachineWentDownIsNotAskedAgain) {
  JournalEntry entry = ended(1, 4, Verdict::kKilled);
  entry.outcome = left_running(false, false);
  EXPECT_THAT(asked_again({entry}), testing::IsEmpty());
}

}  // namespace
}  // namespace loadline
