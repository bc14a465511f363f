#include "commands/config_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class ConfigFile : public testing::Test {
 protected:
  std::string write(const std::string& content) {
    replace_file(file_, content);
    return file_.string();
  }
  static std::vector<std::string> expand(const std::vector<std::string>& arguments) {
    return expand_config_file(arguments,
                              [](const std::string& flag) { return flag != "--bach-size"; });
  }
  static std::string refusal(const std::vector<std::string>& arguments) {
    try {
      static_cast<void>(expand(arguments));
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "flags.toml";
};

TEST_F(ConfigFile, BecomesFlagsBeforeThoseThatWereTyped) {
  const std::string file = write(
      "batch_size = 4\nadapter-path = '-x y'\nlearning_rate = 5e-4\nmask-prompt = false\n"
      "target_modules = ['q_proj', 'v_proj']\n");
  const auto expected = testing::UnorderedElementsAre(
      "train", "--batch-size=4", "--adapter-path=-x y", "--learning-rate=0.0005",
      "--mask-prompt=false", "--target-modules=q_proj,v_proj", "--batch-size", "8");
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"train", "-c", file, "--batch-size", "8"},
        {"train", "--batch-size", "8", "--config", file},
        {"train", "--config=" + file, "--batch-size", "8"}}) {
    const std::vector<std::string> flags = expand(words);
    EXPECT_THAT(flags, expected);
    EXPECT_EQ(flags.front(), "train");
    EXPECT_EQ(flags.back(), "8");
  }
}

TEST_F(ConfigFile, WithoutOneTheWordsStayAsTheyAre) {
  EXPECT_THAT(expand({"generate", "--prompt", "-cat"}),
              ElementsAre("generate", "--prompt", "-cat"));
}

TEST_F(ConfigFile, WhatIsNoFlagIsRefusedWithFileLineAndKey) {
  EXPECT_THAT(refusal({"train", "-c", write("seed = 1\nbach_size = 4\n")}),
              AllOf(HasSubstr("flags.toml:2"), HasSubstr("'bach_size'")));
  EXPECT_THAT(refusal({"train", "-c", write("config = 'other.toml'\n")}), HasSubstr("'config'"));
  EXPECT_THAT(refusal({"train", "-c", write("[lora]\nrank = 4\n")}), HasSubstr("'lora'"));
  EXPECT_THAT(refusal({"train", "-c", write("seed = \n")}), HasSubstr("flags.toml:1"));
}

TEST_F(ConfigFile, NoneOrTwoFilesAreRefused) {
  const std::string file = write("seed = 1\n");
  EXPECT_THAT(refusal({"train", "-c"}), HasSubstr("needs the name"));
  EXPECT_THAT(refusal({"train", "-c", file, "--config", file}), HasSubstr("only one file"));
  EXPECT_THAT(refusal({"train", "-c", "missing.toml"}), HasSubstr("missing.toml"));
}

}  // namespace
}  // namespace loadline
