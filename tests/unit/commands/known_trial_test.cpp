#include "commands/known_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
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

// A trial of batch 4, 8 layers and rows of 512 tokens, whose steps took so long.
JournalEntry stepped(const std::vector<double>& seconds) {
  JournalEntry entry = ended(1, 4, Verdict::kFits);
  entry.spec.lora_layers = 8;
  for (const double one : seconds) entry.outcome->steps.emplace_back().seconds = one;
  return entry;
}

double predicted(std::int64_t batch, std::int64_t layers, std::int64_t sequence,
                 const std::vector<JournalEntry>& entries) {
  const auto with_sequence = [](const TrialSpec& spec) {
    return Configuration{spec.batch_size, 64, spec.lora_layers, 512};
  };
  const std::chrono::duration<double> time =
      predicted_step({batch, 64, layers, sequence}, entries, with_sequence);
  return time.count();
}

TEST(PredictedStep, IsTheLongestThatWasSeenForAsManyMoreRowsLayersAndTokens) {
  const std::vector<JournalEntry> entries{stepped({0.5, 2, 1})};
  EXPECT_DOUBLE_EQ(predicted(4, 8, 512, entries), 2);
  EXPECT_DOUBLE_EQ(predicted(12, 8, 512, entries), 6);
  EXPECT_DOUBLE_EQ(predicted(4, 16, 512, entries), 4);
  EXPECT_DOUBLE_EQ(predicted(4, 8, 2048, entries), 8);
  EXPECT_DOUBLE_EQ(predicted(12, 16, 2048, entries), 48);
}

TEST(PredictedStep, OfASmallerConfigurationIsNoShorter) {
  EXPECT_DOUBLE_EQ(predicted(1, 1, 64, {stepped({2})}), 2);
  EXPECT_DOUBLE_EQ(predicted(1, 16, 64, {stepped({2})}), 4) << "nor makes up for what is more";
}

TEST(PredictedStep, IsThatOfTheTrialByWhichItIsLongest) {
  JournalEntry larger = stepped({3});
  larger.spec.batch_size = 16;
  EXPECT_DOUBLE_EQ(predicted(16, 8, 512, {stepped({1}), larger}), 4);
  EXPECT_DOUBLE_EQ(predicted(8, 8, 512, {stepped({1}), larger}), 3);
}

TEST(PredictedStep, IsNoneWithoutAStep) {
  JournalEntry begun = stepped({2});
  begun.outcome.reset();
  EXPECT_EQ(predicted(4, 8, 512, {}), 0);
  EXPECT_EQ(predicted(4, 8, 512, {stepped({}), begun}), 0);
}

TEST(PredictedStep, OfSequencesThatAreNotComparedHangsOnRowsAndLayersAlone) {
  const auto entries = std::vector<JournalEntry>{stepped({2})};
  EXPECT_EQ(predicted_step({8, 64, 8}, entries,
                           [](const TrialSpec& spec) {
                             return Configuration{spec.batch_size, 64, spec.lora_layers};
                           }),
            std::chrono::seconds(4));
}

TEST(PredictedStep, CanBeSaidInMillisecondsHoweverLongItIs) {
  EXPECT_DOUBLE_EQ(predicted(1'000'000, 8, 512, {stepped({1e12})}), 1e6);
}

}  // namespace
}  // namespace loadline
