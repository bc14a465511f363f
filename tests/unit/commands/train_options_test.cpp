#include "commands/train_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(std::vector<std::string> words) {
  words.emplace_back("--demo");
  TrainOptions options;
  try {
    parse_words(words, [&](Flags flags) { add_train_flags(flags, options); });
    validate(options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(TrainOptionsTest, AnOrderOfRowsThatIsTypedBesideTheFilesOwnIsRefused) {
  EXPECT_EQ(refusal({"--no-shuffle"}), "");
  EXPECT_EQ(refusal({"--batching", "shuffled"}), "");
  EXPECT_THAT(refusal({"--no-shuffle", "--batching", "shuffled"}),
              AllOf(HasSubstr("--no-shuffle"), HasSubstr("--batching shuffled")));
}

TEST(TrainOptionsTest, WhereAnAdapterGivesRankAndLayersABatchSizeLeavesNothingToAProfile) {
  const std::vector<std::string> adapter{"--resume-adapter-file", "adapters"};
  const auto refused = [&](std::vector<std::string> words) {
    words.insert(words.end(), adapter.begin(), adapter.end());
    return refusal(words);
  };
  EXPECT_EQ(refused({"--profile", "mine"}), "");
  EXPECT_EQ(refused({"--batch-size", "4"}), "");
  EXPECT_THAT(refused({"--profile", "mine", "--batch-size", "4"}),
              AllOf(HasSubstr("--profile mine"), HasSubstr("--resume-adapter-file")));
  EXPECT_THAT(refused({"--conservative", "--batch-size", "4"}),
              AllOf(HasSubstr("--conservative"), HasSubstr("--resume-adapter-file")));
}

}  // namespace
}  // namespace loadline
