// stdin, stdout and stderr as they may be: closed, full.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

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

}  // namespace
}  // namespace loadline::testing
