// What `train` refuses, and what it says of a run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>
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
  Train() { ::setenv("OMP_WAIT_POLICY", "passive", 1); }  // as others run beside
  // A short run of the demo with these flags besides.
  Ended run(const std::vector<std::string>& flags) {
    return program_.run(
        with(on_demo("train --compute-dtype f32 --lora-rank 2 --lora-layers 2 --max-seq-length 16",
                     {"--data", data_, "--adapter-path", (program_.home() / "adapter").string()}),
             flags));
  }
  static std::string row(const std::string& text) { return R"({"text":")" + text + "\"}\n"; }

  Program program_;
  std::string data_ = demo_train();
};

// The flags of each "  FLAGS would need BYTES" of a refusal, as words.
std::vector<std::vector<std::string>> ways_in(const std::string& refusal) {
  std::vector<std::vector<std::string>> ways;
  std::istringstream lines(refusal);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t end = line.find(" would need ");
    if (end == std::string::npos) continue;
    std::istringstream words(line.substr(0, end));
    ways.emplace_back(std::istream_iterator<std::string>(words),
                      std::istream_iterator<std::string>());
  }
  return ways;
}

TEST_F(Train, WhatDoesNotFitIsRefusedWithThePlanTheBudgetAndTheWaysOut) {
  constexpr Bytes kLimit = 180_MiB;
  const std::vector<std::string> flags{"--batch-size",      "16",  "--memory-limit", "180MiB",
                                       "--grad-checkpoint", "off", "--lora-layers",  "6",
                                       "--max-seq-length",  "256", "--max-steps",    "1",
                                       "--val-batches",     "1"};
  const Ended ended = run(flags);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, AllOf(HasSubstr("batch 16 at rank 2 on 6 layers does not fit"),
                               HasSubstr("weights"), HasSubstr("forward"), HasSubstr("planned"),
                               HasSubstr("the budget is 180.0 MiB (--memory-limit)")));
  std::set<std::string> named;
  for (const std::vector<std::string>& way : ways_in(ended.err)) {
    named.insert(way[0]);
    const Ended tried = run(with(with(flags, way), {"--json"}));
    ASSERT_EQ(tried.exit_code, 0) << way[0] << ": " << tried.err;
    EXPECT_LE(parse_json(tried.out, "stdout")["peak_bytes"], kLimit.count) << way[0];
  }
  EXPECT_EQ(named, (std::set<std::string>{"--grad-checkpoint", "--batching", "--batch-size",
                                          "--max-seq-length", "--lora-layers"}));
}

TEST_F(Train, WhereNoSingleFlagIsEnoughSeveralAreNamedThatAre) {
  const std::vector<std::string> flags{"--batch-size",      "32",   "--memory-limit", "56MiB",
                                       "--grad-checkpoint", "off",  "--lora-layers",  "6",
                                       "--max-seq-length",  "1024", "--max-steps",    "1",
                                       "--val-batches",     "1"};
  const Ended ended = run(flags);
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.err, HasSubstr("No single flag would make it fit, but these together:"));
  const auto ways = ways_in(ended.err);
  ASSERT_EQ(ways.size(), 1U) << ended.err;
  EXPECT_EQ(run(with(flags, ways[0])).exit_code, 0);
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
      {"--lora-dropout", "1"},
      {"--demo"},
      {"--conservative"},
      {"--profile", "mine"},
      {"--distrust", "additive"},
      {"--distrust-alpha", "2.5"},
      {"--distrust-lambda", "2", "--distrust", "off"}};
  for (const std::vector<std::string>& flags : refused) {
    const Ended ended = run(with({"--batch-size", "1"}, flags));
    EXPECT_EQ(ended.exit_code, 2) << flags[0] << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(flags[0]));
  }
}

TEST_F(Train, AnAdapterThatARunStartsFromAndFlagsThatSayOtherwiseContradict) {
  data_ = program_.write("rows.jsonl", row("one two three") + row("four five six"));
  ASSERT_EQ(run({"--batch-size", "1", "--max-steps", "1"}).exit_code, 0);
  const std::string first = (program_.home() / "adapter").string();
  const std::string next = (program_.home() / "next").string();
  const auto start = [&](const std::vector<std::string>& flags) {
    return run(with({"--batch-size", "1", "--max-steps", "1", "--resume-adapter-file", first,
                     "--adapter-path", next},
                    flags));
  };
  const std::vector<std::vector<std::string>> refused{{"--lora-rank", "4"},
                                                      {"--lora-layers", "3"},
                                                      {"--lora-alpha", "9"},
                                                      {"--target-modules", "q_proj"},
                                                      {"--rslora"}};
  for (const std::vector<std::string>& flags : refused) {
    const Ended ended = start(flags);
    EXPECT_EQ(ended.exit_code, 2) << flags[0];
    EXPECT_THAT(ended.err, AllOf(HasSubstr(flags[0]), HasSubstr(first)));
  }
  EXPECT_EQ(start({"--lora-alpha", "4", "--target-modules", "attention"}).exit_code, 0);
}

TEST_F(Train, AFinishedRunIsReplacedWhichIsSaidAndOtherAdaptersAreNot) {
  const std::vector<std::string> flags{"--batch-size",  "1", "--max-steps", "1",
                                       "--val-batches", "1"};
  ASSERT_EQ(run(flags).exit_code, 0);
  const Ended again = run(flags);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("Replaces the finished run in "));
  const std::filesystem::path adapter = program_.home() / "adapter";
  std::filesystem::remove_all(adapter / "checkpoints");
  const Ended refused = run(flags);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("holds an adapter that is not of a finished run there"));
  EXPECT_TRUE(std::filesystem::exists(adapter / "best/adapter_model.safetensors"));
}

TEST_F(Train, WhatTheCutLosesIsSaidBeforeTheFirstUpdate) {
  std::string long_row = "{\"input_ids\":[1";
  for (int i = 1; i < 20; ++i) long_row += ",2";
  data_ = program_.write("rows.jsonl", "{\"input_ids\":[1,2,3,4]}\n" + long_row + "]}\n");
  const Ended ended = run({"--batch-size", "1", "--max-steps", "1"});
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const std::size_t warning = ended.out.find(
      "rows.jsonl: 1 of 2 rows are longer than 16 tokens; cutting them loses 16.7 % of all tokens");
  EXPECT_LT(warning, ended.out.find("Iter 1:")) << ended.out;
}

TEST_F(Train, RowsThatRepeatInAnUpdateOrAreValidatedOnTooAreSaidAndACutOnce) {
  const std::string rows =
      program_.write("two.jsonl",
                     "{\"text\": \"In the beginning God created the heaven and the earth.\"}\n"
                     "{\"text\": \"And the earth was without form, and void; and darkness.\"}\n");
  const Ended ended = run({"--data", rows, "--valid-data", rows, "--batch-size", "4",
                           "--max-seq-length", "8", "--max-steps", "1"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, AllOf(HasSubstr("Warning: an update takes 4 rows and the data has 2 rows"),
                               HasSubstr("two.jsonl are the training rows")));
  const std::size_t cut = ended.out.find("rows are longer than 8 tokens");
  ASSERT_NE(cut, std::string::npos);
  EXPECT_EQ(ended.out.find("rows are longer than 8 tokens", cut + 1), std::string::npos);
}

TEST_F(Train, WeightsByDistrustAreRefusedWhereAnUpdateHasOneRow) {
  const std::string source =
      "{\"text\": \"In the beginning God created the heaven.\", "
      "\"auth_weight\": 0.3, \"prov_entropy\": 5.0}\n";
  const std::string rows = program_.write("sources.jsonl", source + source);
  const std::vector<std::string> weighted{"--data",      rows, "--distrust",   "weighted",
                                          "--max-steps", "1",  "--batch-size", "1"};
  const Ended alone = run(weighted);
  EXPECT_EQ(alone.exit_code, 2);
  EXPECT_THAT(alone.err, HasSubstr("--distrust weighted: has no effect in updates of one row"));
  EXPECT_EQ(run(with(weighted, {"--grad-accumulation-steps", "2"})).exit_code, 0);
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
