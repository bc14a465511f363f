#include "commands/train_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "base/file.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

class TrainCommandTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  [[nodiscard]] TrainCommand typed(Words words) const {
    words.insert(words.end(), {"--adapter-path", folder_.path().string()});
    CLI::App app;
    TrainCommand command;
    const Flags flags(app);
    add_train_flags(flags, command.options);
    app.parse(Words(words.rbegin(), words.rend()));
    command.words = flags.typed();
    return command;
  }
  [[nodiscard]] TrainingSettings settings() const {
    TrainingSettings s;
    s.adapter_path = folder_.path();
    s.batch_size = 4;
    s.lora = {.rank = 8, .alpha = 16, .layers = 2, .targets = {Projection::kQ}};
    return s;
  }
  void start(Words words) const {
    words.emplace_back("--demo");
    keep_command(typed(words).words, settings());
  }
  [[nodiscard]] std::string kept() const {
    return read_file(folder_.path() / "command.json", 64_KiB);
  }
  // The options of the run that is resumed with these words, as train checks them.
  [[nodiscard]] TrainOptions resumed(Words words) const {
    words.emplace_back("--resume");
    TrainOptions options = continued(typed(words)).options;
    validate(options);
    return options;
  }

  TemporaryFolder folder_;
};

TEST_F(TrainCommandTest, AToggleThatIsTypedAsOffIsOffWhereTheRunWasStartedWithIt) {
  start({"--no-shuffle", "--mask-prompt", "--test", "--test-data", "test.jsonl"});
  const TrainOptions as_kept = resumed({});
  EXPECT_TRUE(as_kept.no_shuffle && as_kept.workload.mask_prompt && as_kept.workload.with_test);
  EXPECT_FALSE(resumed({"--no-shuffle=false"}).no_shuffle);
  EXPECT_FALSE(resumed({"--mask-prompt=off"}).workload.mask_prompt);
  const TrainOptions without_test = resumed({"--test=false"});
  EXPECT_FALSE(without_test.workload.with_test);
  EXPECT_FALSE(without_test.workload.test_data);
}

TEST_F(TrainCommandTest, AToggleThatIsTypedAsOffIsNotKept) {
  start({"--mask-prompt=false", "--lr-schedule", "constant"});
  EXPECT_THAT(kept(), Not(HasSubstr("mask-prompt")));
  EXPECT_THAT(kept(), HasSubstr("constant"));
  start({"--mask-prompt"});
  TrainCommand again = continued(typed({"--resume", "--mask-prompt=false"}));
  keep_command(again.words, settings());
  EXPECT_THAT(kept(), Not(HasSubstr("mask-prompt")));
}

TEST_F(TrainCommandTest, WhatIsTypedReplacesWhatTheRunWasStartedWithThatContradictsIt) {
  start({"--trunk-cache", "on", "--trunk-cache-limit", "1GiB"});
  const TrainOptions uncached = resumed({"--trunk-cache", "off"});
  EXPECT_EQ(uncached.trunk_cache, "off");
  EXPECT_FALSE(uncached.trunk_cache_limit);
  start({"--no-shuffle", "--epochs", "2", "--distrust", "additive", "--distrust-alpha", "2.5"});
  const TrainOptions other =
      resumed({"--batching", "shuffled", "--max-steps", "3", "--distrust", "off"});
  EXPECT_FALSE(other.no_shuffle);
  EXPECT_FALSE(other.epochs);
  EXPECT_FALSE(other.workload.distrust_alpha);
}

TEST_F(TrainCommandTest, WhatTheRunHadAndNobodyTypedIsSaidToBeTheRuns) {
  start({});
  const GivenFlags given = resumed({"--lora-rank", "8"}).given;
  EXPECT_EQ(given.batch_from, "the run");
  EXPECT_EQ(given.rank_from, "--lora-rank");
  EXPECT_EQ(given.layers_from, "the run");
}

}  // namespace
}  // namespace loadline
