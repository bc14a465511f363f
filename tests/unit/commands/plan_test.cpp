#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "commands/command.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Planned {
  int code;
  std::string out, err;
};

Planned planned(std::vector<std::string> words) {
  CLI::App app;
  const CommandFunction run = add_plan(Flags(app));
  words.insert(words.end(), {"--model", LOADLINE_SOURCE_DIR "/demo/model"});
  app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run();
  return {code, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

TEST(Plan, WhatExceedsTheBudgetComesWithWhatWouldFit) {
  const Planned plan = planned({"--batch-size", "64", "--memory-limit", "200MiB"});
  EXPECT_EQ(plan.code, 1);
  EXPECT_THAT(plan.out, AllOf(HasSubstr("predicted to exceed it\n\nEach of these alone would fit:"),
                              HasSubstr("\n  --batch-size "), Not(HasSubstr("--batching"))));
}

TEST(Plan, ARankOfWhichNoModuleHasAnyUseIsWarnedOf) {
  EXPECT_THAT(
      planned({"--lora-rank", "193"}).err,
      HasSubstr("Warning: rank 193 is more than any module can use: q_proj, 192 x 192, gains "
                "nothing above 192"));
  EXPECT_THAT(planned({"--lora-rank", "192"}).err, Not(HasSubstr("Warning")));
}

}  // namespace
}  // namespace loadline
