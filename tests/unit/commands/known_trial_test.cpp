#include "commands/known_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "trial/left_running.h"

namespace loadline {
namespace {

using testing::ElementsAre;

constexpr Bytes kBudget = 1_GiB;

JournalEntry ended(int id, std::int64_t batch, Verdict verdict) {
  JournalEntry entry;
  entry.spec.id = id;
  entry.spec.batch_size = batch;
  entry.spec.budget = entry.spec.cap = kBudget;
  entry.outcome.emplace().verdict = verdict;
  return entry;
}

Configuration configuration_of(const TrialSpec& spec) {
  return {spec.batch_size, spec.lora_rank, spec.lora_layers};
}

std::vector<int> asked_again(const std::vector<JournalEntry>& entries) {
  std::vector<int> ids;
  for (const JournalEntry* entry : asked_once_more(entries, configuration_of)) {
    ids.push_back(entry->spec.id);
  }
  return ids;
}

// Whether the second of them answers the first.
bool is_answered(const JournalEntry& killed, const JournalEntry& other) {
  return is_answered_later(killed, {other, killed}, configuration_of, {.budget = kBudget});
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

TEST(KnownTrial, AKillIsAnsweredByALaterTrialOfItsConfiguration) {
  const JournalEntry killed = ended(3, 4, Verdict::kKilled);
  EXPECT_TRUE(is_answered(killed, ended(7, 4, Verdict::kFits)));
  EXPECT_TRUE(is_answered(killed, ended(7, 4, Verdict::kCrashed)));
  EXPECT_FALSE(is_answered(killed, ended(7, 4, Verdict::kInterrupted)));
  EXPECT_FALSE(is_answered(killed, ended(7, 4, Verdict::kRefused)));
  EXPECT_FALSE(is_answered(killed, ended(7, 5, Verdict::kFits)));
  EXPECT_FALSE(is_answered(killed, ended(2, 4, Verdict::kFits))) << "that was before";
}

TEST(KnownTrial, WhatCountsNoMoreTodayIsNoAnswerToAKill) {
  JournalEntry killed = ended(3, 4, Verdict::kKilled);
  JournalEntry ran_out = ended(7, 4, Verdict::kOutOfMemory);
  EXPECT_TRUE(is_answered(killed, ran_out));
  ran_out.spec.budget = ran_out.spec.cap = 512_MiB;
  EXPECT_FALSE(is_answered(killed, ran_out));
  killed.spec.cap = cap_under_margin(kBudget, killed.spec.margin);
  EXPECT_FALSE(is_answered(killed, ended(7, 4, Verdict::kFits))) << "it proves no margin";
}

TEST(KnownTrial, ATrialUnderWhichTheMachineWentDownIsNotAskedAgain) {
  JournalEntry entry = ended(1, 4, Verdict::kKilled);
  entry.outcome = left_running(false, false);
  EXPECT_THAT(asked_again({entry}), testing::IsEmpty());
}

}  // namespace
}  // namespace loadline
