// The flag that was meant is the one that takes the fewest changes.
#include "cli/mistyped.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

const std::vector<std::string> kFlags = {"--lora-rank", "--lora-layers", "--batch-size", "--steps"};

TEST(Nearest, AWrongAMissingOrATwistedLetterIsForgiven) {
  EXPECT_EQ(nearest("--lora_rank", kFlags), "--lora-rank");
  EXPECT_EQ(nearest("--bath-size", kFlags), "--batch-size");
  EXPECT_EQ(nearest("--setps", kFlags), "--steps");
  EXPECT_EQ(nearest("--lora-layer", kFlags), "--lora-layers");
}

TEST(Nearest, WhatResemblesNothingHasNone) {
  EXPECT_EQ(nearest("--temperature", kFlags), "");
  EXPECT_EQ(nearest("", kFlags), "");
  EXPECT_EQ(nearest("--steps", {}), "");
}

}  // namespace
}  // namespace loadline
