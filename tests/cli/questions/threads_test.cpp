// How long the program's threads wait for each other before they sleep.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/harness/program.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;

// libgomp says what it took from its environment, once for each program that is begun.
class ThreadWaits : public ::testing::Test {
 protected:
  ThreadWaits() {
    program_.set_environment("OMP_DISPLAY_ENV", "verbose");
    for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) ::unsetenv(name);
  }
  std::string said(const std::vector<std::string>& arguments) {
    return program_.run(arguments, "").err;
  }
  Program program_;
};

TEST_F(ThreadWaits, AreShortWhereTheProgramComputes) {
  EXPECT_THAT(
      said({"generate", "--model", testing::demo_model(), "--prompt", "In", "--max-tokens", "1"}),
      HasSubstr("GOMP_SPINCOUNT = '3000'"));
}

TEST_F(ThreadWaits, AreLibgompsOwnWhereItOnlyAnswers) {
  EXPECT_THAT(said({"machine"}), Not(HasSubstr("GOMP_SPINCOUNT = '3000'")));
}

TEST_F(ThreadWaits, AreTheUsersWhereHeHasChosen) {
  program_.set_environment("OMP_WAIT_POLICY", "active");
  EXPECT_THAT(
      said({"generate", "--model", testing::demo_model(), "--prompt", "In", "--max-tokens", "1"}),
      Not(HasSubstr("GOMP_SPINCOUNT = '3000'")));
}

}  // namespace
}  // namespace loadline
