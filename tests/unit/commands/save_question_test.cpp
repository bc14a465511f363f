#include "commands/save_question.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>

namespace loadline {
namespace {

bool answered(const std::string& typed) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> nowhere(std::tmpfile(), std::fclose);
  std::istringstream in(typed);
  return wants_saving(in, nowhere.get());
}

TEST(SaveQuestion, YesAndAnEmptyLineAreYes) {
  for (const char* typed : {"\n", "y\n", "Y\n", "yes\n", "  YES \r\n", " \n"}) {
    EXPECT_TRUE(answered(typed)) << typed;
  }
}

TEST(SaveQuestion, NoAndTheEndOfTheInputAreNo) {
  for (const char* typed : {"n\n", "No\n", " no \n", "", "maybe\n"}) {
    EXPECT_FALSE(answered(typed)) << typed;
  }
}

TEST(SaveQuestion, WhatIsUnclearIsAskedAgain) {
  EXPECT_TRUE(answered("ja\nsure\ny\n"));
  EXPECT_FALSE(answered("yn\nn\n"));
}

}  // namespace
}  // namespace loadline
