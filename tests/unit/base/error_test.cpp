#include "base/error.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

TEST(Error, CarriesTheExitCodeThatUsersSee) {
  EXPECT_EQ(Error(ErrorKind::kDoesNotFit, "").exit_code(), 1);
  EXPECT_EQ(usage_error("x").exit_code(), 2);
  EXPECT_EQ(bad_input("x").exit_code(), 2);
  EXPECT_EQ(Error(ErrorKind::kInterrupted, "").exit_code(), 3);
  EXPECT_EQ(environment_error("x").exit_code(), 4);
}

TEST(Error, FormatsItsMessageAndKeepsItsKind) {
  const Error error = bad_input("{}: ends at {}, but {}", "w", 12, 8);
  EXPECT_STREQ(error.what(), "w: ends at 12, but 8");
  EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
  EXPECT_EQ(usage_error("x").kind(), ErrorKind::kUsage);
}

}  // namespace
}  // namespace loadline
