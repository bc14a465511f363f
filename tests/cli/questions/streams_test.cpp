// stdin, stdout and stderr as they may be: closed, full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

using ::testing::HasSubstr;

const std::string kTrain =
    "\"$LOADLINE\" train --demo --batch-size 1 --lora-rank 2 --lora-layers 1 --max-steps 2 "
    "--max-seq-length 32 --val-batches 1 --adapter-path \"$HOME/adapter\" ";

TEST(Streams, WhatIsPrintedToAClosedStdoutIsWrittenIntoNoFile) {
  for (const char* closed : {">&-", "<&- >&-", "<&- >&- 2>&-"}) {
    const Program program;
    const Ended ended = program.run_in_shell(kTrain + closed);
    EXPECT_EQ(ended.exit_code, 0) << closed << ended.err;
    const std::string metrics = read_file((program.home() / "adapter/metrics.jsonl"), 1_MiB);
    EXPECT_EQ(metrics.find("Iter"), std::string::npos) << closed << metrics;
    EXPECT_EQ(metrics.find("Val loss"), std::string::npos) << closed << metrics;
  }
}

TEST(Streams, AnErrorThatCannotBePrintedHasItsExitCode) {
  for (const char* stream : {"2>&-", "2>/dev/full"}) {
    const Ended ended =
        Program().run_in_shell(std::string("\"$LOADLINE\" find --demo --max-batch 0 ") + stream);
    EXPECT_EQ(ended.exit_code, 2) << stream;
  }
}

TEST(Streams, AnAnswerThatDoesNotFitOnTheDiskIsNoSuccess) {
  for (const char* command : {"machine", "machine --json", "--help", "plan --demo", "--version"}) {
    const Ended ended =
        Program().run_in_shell(std::string("\"$LOADLINE\" ") + command + " >/dev/full");
    EXPECT_EQ(ended.exit_code, 4) << command << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("stdout could not be written")) << command;
    // CLI11 writes the version by itself, and the reason is gone when it returns.
    if (std::string_view(command) == "--version") continue;
    EXPECT_THAT(ended.err, HasSubstr("No space left on device")) << command;
  }
}

TEST(Streams, AnAnswerForAClosedStdoutIsNoSuccess) {
  for (const char* command : {"machine", "machine --json", "--help", "plan --demo", "--version",
                              "profile list", "completion bash", "tokenize --demo </dev/null",
                              "generate --demo --prompt a --max-tokens 2", "data --demo --dump"}) {
    const Ended ended = Program().run_in_shell(std::string("\"$LOADLINE\" ") + command + " >&-");
    EXPECT_EQ(ended.exit_code, 4) << command << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("stdout is closed")) << command;
  }
  EXPECT_EQ(Program().run_in_shell("\"$LOADLINE\" chat --template x </dev/null >&-").exit_code, 2)
      << "an error keeps its own";
}

TEST(Streams, ATrainingWhoseDocumentIsLostIsNoSuccess) {
  const Ended ended = Program().run_in_shell(kTrain + "--json >&-");
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("stdout is closed"));
}

TEST(Streams, AnErrorIsOneDocumentWhereOneWasAskedFor) {
  const Program program;
  const std::string config = program.write("flags.toml", "json = true\nsteps = 1\n");
  const std::vector<std::pair<std::vector<std::string>, int>> lines{
      {on_demo("train --batch-size 100000 --lora-rank 2 --lora-layers 1 --memory-limit 64MiB"), 1},
      {{"generate", "--model", demo_model(), "--prompt", "hi", "--memory-limit", "20MiB"}, 1},
      {{"data", "--model", demo_model(), "--data", "nothere"}, 2},
      {{"find", "--bogus"}, 2},
      {{"profile", "show", "nope"}, 2},
      {{"find", "--demo", "-c", "nothere.toml"}, 2},
      {{"find", "--demo", "-c", config}, 2}};
  for (const auto& [words, code] : lines) {
    const bool said_in_file = words.back() == config;
    const Ended ended = program.run(said_in_file ? words : with(words, {"--json"}));
    EXPECT_EQ(ended.exit_code, code) << words[0] << ended.err;
    const Json document = Json::parse(ended.out, nullptr, false);
    ASSERT_FALSE(document.is_discarded()) << words[0] << ended.out;
    EXPECT_EQ(document["schema_version"], 1);
    EXPECT_EQ(document["status"], "error");
    EXPECT_EQ(document["exit_code"], code);
    EXPECT_THAT(ended.err, HasSubstr("loadline: " + document["message"].get<std::string>() + "\n"));
  }
}

TEST(Streams, AnErrorIsADocumentByWhateverWordOneWasAskedFor) {
  const Program program;
  for (const char* word : {"--json=on", "--json=1", "--json=YES"}) {
    const Ended ended = program.run({"profile", "show", "nope", word});
    EXPECT_EQ(ended.exit_code, 2) << word;
    EXPECT_EQ(Json::parse(ended.out, nullptr, false)["status"], "error") << word;
  }
  EXPECT_EQ(program.run({"profile", "show", "nope", "--json", "--json=off"}).out, "");
  const std::string file = program.write("one.toml", "json = 1\nsteps = 1\n");
  EXPECT_EQ(Json::parse(program.run({"find", "--demo", "-c", file}).out)["status"], "error");
}

TEST(Streams, AnErrorIsNoDocumentWhereNoneWasAskedFor) {
  EXPECT_EQ(Program().run({"find", "--bogus"}).out, "");
  EXPECT_EQ(Program().run({"find", "--demo", "--json=false", "--steps", "1"}).out, "");
  const Ended done = Program().run({"machine", "--json"});
  EXPECT_FALSE(Json::parse(done.out).contains("status"));
}

}  // namespace
}  // namespace loadline::testing
