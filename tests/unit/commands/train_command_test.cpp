#include "commands/train_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class TrainCommandTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  [[nodiscard]] TrainCommand typed(Words words) const {
    words.insert(words.end(), {"--adapter-path", folder_.path().string()});
    CLI::App app;
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
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

  // The same, of a command whose -c file says `file`; what is typed stands behind that.
  [[nodiscard]] TrainCommand resumed_with(Words file, const Words& words = {}) const {
    file.insert(file.end(), words.begin(), words.end());
    file.emplace_back("--resume");
    TrainCommand command = typed(file);
    for (const std::string& word : file) {
      const bool is_typed = std::find(words.begin(), words.end(), word) != words.end();
      if (word.starts_with("--") && word != "--resume" && !is_typed)
        command.from_file.push_back(word);
    }
    TrainCommand merged = continued(command);
    validate(merged.options);
    return merged;
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

TEST_F(TrainCommandTest, AToggleThatIsTypedAsOffStaysOffWhateverAFileSaysLater) {
  start({"--mask-prompt=false", "--lr-schedule", "constant"});
  EXPECT_FALSE(resumed({}).workload.mask_prompt);
  EXPECT_FALSE(resumed_with({"--mask-prompt"}).options.workload.mask_prompt);
  EXPECT_TRUE(resumed({"--mask-prompt"}).workload.mask_prompt);
  start({"--mask-prompt"});
  TrainCommand again = continued(typed({"--resume", "--mask-prompt=false"}));
  keep_command(again.words, settings());
  EXPECT_FALSE(resumed_with({"--mask-prompt"}).options.workload.mask_prompt);
}

TEST_F(TrainCommandTest, AFilesRsloraIsNotForARunWhoseAdapterBroughtItsAlpha) {
  TrainingSettings from_adapter = settings();
  from_adapter.resume_adapter_file = "adapter";
  keep_command(typed({"--demo", "--resume-adapter-file", "adapter"}).words, from_adapter);
  const TrainOptions options = resumed_with({"--rslora"}).options;
  EXPECT_FALSE(options.workload.rslora);
  EXPECT_EQ(options.workload.lora_alpha, 16);
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

TEST_F(TrainCommandTest, WhatTheRunWasStartedWithWinsOverAFilesFlagsAndWhatIsTypedNowOverBoth) {
  start({"--learning-rate", "5e-5", "--max-steps", "5000"});
  const Words file{"--learning-rate", "1e-4", "--max-steps", "1000", "--batch-size", "16"};
  const TrainCommand as_started = resumed_with(file);
  EXPECT_EQ(as_started.options.learning_rate, 5e-5);
  EXPECT_EQ(as_started.options.max_steps, 5000);
  EXPECT_EQ(as_started.options.given.batch_size, 4);
  EXPECT_EQ(as_started.options.given.batch_from, "the run");
  EXPECT_THAT(as_started.words, Not(testing::Contains("1000")));
  EXPECT_EQ(resumed_with(file, {"--max-steps", "6000"}).options.max_steps, 6000);
}

TEST_F(TrainCommandTest, AFilesFlagsThatTheRunDoesNotHaveAreTakenUnlessTheyContradictIt) {
  start({"--epochs", "2", "--trunk-cache", "off"});
  const TrainOptions options =
      resumed_with({"--max-steps", "9", "--profile", "mine", "--save-every", "7",
                    "--trunk-cache-limit", "1GiB", "--model", "other"})
          .options;
  EXPECT_EQ(options.epochs, 2);
  EXPECT_FALSE(options.max_steps || options.profile || options.trunk_cache_limit);
  EXPECT_EQ(options.save_every, 7);
  EXPECT_EQ(options.workload.model, "");
}

TEST_F(TrainCommandTest, AFileThatSaysAnotherValueNowWinsOverTheOneThatItSaidThen) {
  const Words words{"--demo", "--max-steps", "1000", "--learning-rate", "5e-5"};
  keep_command(typed(words).words, settings(), {"--max-steps", "--batch-size"});
  const TrainCommand same = resumed_with({});
  EXPECT_EQ(same.options.max_steps, 1000);
  EXPECT_THAT(same.from_file, testing::UnorderedElementsAre("--max-steps", "--batch-size"));
  const TrainCommand other =
      resumed_with({"--max-steps", "2000", "--learning-rate", "1e-4", "--batch-size", "8"});
  EXPECT_EQ(other.options.max_steps, 2000);
  EXPECT_EQ(other.options.learning_rate, 5e-5) << "was typed";
  EXPECT_EQ(other.options.given.batch_size, 8) << "refused later, as it changes the numbers";
  EXPECT_EQ(other.options.given.batch_from, "--batch-size");
  EXPECT_THAT(other.from_file, testing::UnorderedElementsAre("--max-steps", "--batch-size"));
  EXPECT_FALSE(resumed_with({"--epochs", "3"}).options.max_steps);
  EXPECT_EQ(resumed_with({"--epochs", "3"}, {"--max-steps", "7"}).options.max_steps, 7);
}

TEST_F(TrainCommandTest, WhatAFileSaysAndDoesNotCountIsSaid) {
  start({"--max-steps", "3000", "--seed", "3", "--data", "rows.jsonl"});
  const Words file{"--max-steps", "2000", "--seed", "3", "--data", "rows.jsonl"};
  EXPECT_THAT(resumed_with(file).notes,
              testing::ElementsAre(AllOf(HasSubstr("--max-steps 2000 does not count"),
                                         HasSubstr("with --max-steps 3000"))));
  EXPECT_THAT(resumed_with({"--epochs", "2"}).notes,
              testing::ElementsAre(AllOf(HasSubstr("--epochs 2 does not count"),
                                         HasSubstr("with --max-steps 3000"))));
  EXPECT_THAT(resumed_with({"--data", "./nowhere/../rows.jsonl"}).notes, testing::IsEmpty());
  EXPECT_THAT(resumed_with(file, {"--max-steps", "4000"}).notes, testing::IsEmpty());
  EXPECT_THAT(resumed_with(file, {"--epochs", "4"}).notes, testing::IsEmpty());
  EXPECT_THAT(resumed({}).max_steps, 3000);
}

TEST_F(TrainCommandTest, FlagsThatSayOtherwiseThanThenAreKnown) {
  start({"--rslora", "--valid-data", "rows.jsonl", "--seed", "3"});
  const auto changed = [&](Words words) {
    words.emplace_back("--resume");
    return continued(typed(words)).changed;
  };
  using testing::UnorderedElementsAre;
  EXPECT_THAT(changed({}), UnorderedElementsAre());
  EXPECT_THAT(changed({"--rslora", "--mask-prompt=false", "--seed", "3"}), UnorderedElementsAre());
  EXPECT_THAT(changed({"--rslora=false", "--mask-prompt", "--seed", "4"}),
              UnorderedElementsAre("--rslora", "--mask-prompt", "--seed"));
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
