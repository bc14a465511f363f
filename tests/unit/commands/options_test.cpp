#include "commands/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>

#include "base/error.h"
#include "commands/command.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string help_of(CommandFunction (*add)(Flags)) {
  CLI::App app;
  add(Flags(app));
  return app.help();
}

std::string refusal_of(const WorkloadOptions& options) {
  try {
    validate(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(WorkloadOptions, WhatOnlyFindComparesIsSaidInItsHelpAndItsErrors) {
  EXPECT_THAT(help_of(add_find),
              AllOf(HasSubstr("both (compared)"), HasSubstr("512,1024"), HasSubstr("-1 or all")));
  EXPECT_THAT(help_of(add_train),
              AllOf(Not(HasSubstr("both (compared)")), Not(HasSubstr("512,1024"))));
  WorkloadOptions options;
  options.grad_checkpoint = "maybe";
  EXPECT_THAT(refusal_of(options), HasSubstr("one of auto, on, off"));
  EXPECT_THAT(refusal_of(options), Not(HasSubstr("both")));
  options.compares = true;
  EXPECT_THAT(refusal_of(options), HasSubstr("one of auto, on, off, both"));
}

}  // namespace
}  // namespace loadline
