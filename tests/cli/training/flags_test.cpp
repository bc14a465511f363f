// What `train` refuses, and what it says of a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Train : public ::testing::Test {
 protected:
  // A short run of the demo with these flags besides.
  Ended run(const std::vector<std::string>& flags) {
    std::vector<std::string> words{"train",
                                   "--model",
                                   demo_model(),
                                   "--data",
                                   data_,
                                   "--compute-dtype",
                                   "f32",
                                   "--lora-rank",
                                   "2",
                                   "--lora-layers",
                                   "2",
                                   "--max-seq-length",
                                   "16",
                                   "--adapter-path",
                                   (program_.home() / "adapter").string()};
    words.insert(words.end(), flags.begin(), flags.end());
    return program_.run(words);
  }
  static std::string row(const std::string& text) { return R"({"text":")" + text + "\"}\n"; }

  Program program_;
  std::string data_ = demo_train();
};

TEST_F(Train, WhatDoesNotFitIsRefusedWithThePlanTheBudgetAndTheWaysOut) {
  const Ended ended = run({"--batch-size", "512", "--memory-limit", "64MiB", "--grad-checkpoint",
                           "off", "--max-seq-length", "256"});
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("batch 512 at rank 2 on 2 layers does not fit"),
                               HasSubstr("weights"), HasSubstr("forward"), HasSubstr("planned"),
                               HasSubstr("the budget is 64.0 MiB (--memory-limit)"),
                               HasSubstr("\n  --batch-size "), HasSubstr(" would need ")));
  // What it names does fit.
  const std::size_t at = ended.err.find("--batch-size ") + 13;
  const std::string batch = ended.err.substr(at, ended.err.find(' ', at) - at);
  const Ended named = run({"--batch-size", batch, "--memory-limit", "64MiB", "--grad-checkpoint",
                           "off", "--max-seq-length", "256", "--max-steps", "1"});
  EXPECT_EQ(named.exit_code, 0) << named.err;
}

TEST_F(Train, FlagsThatContradictOrWouldBeIgnoredAreErrors) {
  data_ = program_.write("rows.jsonl", row("one two three") + row("four five six"));
  const std::vector<std::vector<std::string>> refused{
      {"--epochs", "1", "--max-steps", "2"},
      {"--no-shuffle", "--batching", "balanced"},
      {"--steps-per-eval", "5"},
      {"--val-batches", "5"},
      {"--test"},
      {"--test-data", "x.jsonl"},
      {"--trunk-cache-limit", "1GiB"},
      {"--trunk-cache", "on", "--lora-layers", "-1"},
      {"--trunk-cache", "maybe"},
      {"--lora-dropout", "1"}};
  for (const std::vector<std::string>& flags : refused) {
    std::vector<std::string> words{"--batch-size", "1"};
    words.insert(words.end(), flags.begin(), flags.end());
    const Ended ended = run(words);
    EXPECT_EQ(ended.exit_code, 2) << flags[0] << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(flags[0]));
  }
}

TEST_F(Train, ATestAnEpochAndTheUseOfRowsAreSaid) {
  std::string rows;
  for (int i = 0; i < 10; ++i) rows += row("row number " + std::to_string(i) + " of ten rows");
  data_ = program_.write("data/train.jsonl", rows);
  static_cast<void>(program_.write("data/valid.jsonl", row("a row that is not trained on")));
  static_cast<void>(program_.write("data/test.jsonl", row("another row of its own")));
  const Ended ended = run({"--batch-size", "2", "--epochs", "2", "--batching", "balanced", "--test",
                           "--trunk-cache", "on", "--rslora", "--lora-plus-ratio", "4", "--json"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.err, AllOf(HasSubstr("Updates: 10 (2.00 epochs of 10 rows), from --epochs 2"),
                               HasSubstr("Trunk cache: up to "), HasSubstr("Test loss "),
                               HasSubstr("Rows: 10 of 10 used, each 2 times (2.00 epochs)."),
                               HasSubstr("Best: validation loss ")));
  const Json document = parse_json(ended.out, "stdout");
  EXPECT_EQ(document["steps"], 10);
  EXPECT_EQ(document["row_use"]["least"], 2);
  EXPECT_GT(document["test"]["perplexity"].get<double>(), 1);
  EXPECT_EQ(document["best"]["step"], 10);
}

}  // namespace
}  // namespace loadline::testing
