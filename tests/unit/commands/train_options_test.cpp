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

}  // namespace
}  // namespace loadline
