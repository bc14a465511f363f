#include "report/model_name.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

TEST(ModelName, IsTheLastPartOfAPathAndTheRepositorysOwnNameOnTheHub) {
  EXPECT_EQ(model_name("/models/smol"), "smol");
  EXPECT_EQ(model_name("models/smol/./"), "smol");
  EXPECT_EQ(model_name("org/Smol-1.7B"), "Smol-1.7B");
  EXPECT_EQ(model_name("org/smol@v1.0"), "smol");
  EXPECT_EQ(model_name("org/smol@refs/pr/3"), "smol");
  EXPECT_EQ(model_name("/home/u@host/models/smol"), "smol");
  EXPECT_EQ(model_name("/hub/models--org--smol/snapshots/0123456789abcdef"), "smol");
  for (const char* nothing : {"", "/", "."}) EXPECT_EQ(model_name(nothing), "model") << nothing;
}

TEST(PlainName, HasNothingThatAShellOrAPersonWouldHaveToQuote) {
  EXPECT_EQ(plain_name("Smol-1.7B_x"), "Smol-1.7B_x");
  EXPECT_EQ(plain_name("my model (v2)"), "my-model-v2");
  EXPECT_EQ(plain_name("../a\n$b;c/"), "a-b-c");
  EXPECT_EQ(plain_name("--x"), "x");
  EXPECT_EQ(plain_name("模型"), "");
}

}  // namespace
}  // namespace loadline
