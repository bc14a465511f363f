#include "commands/find_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;
using Status = SearchResult::Status;

std::string words_of(Status status, std::optional<Verdict> stopped_by = std::nullopt,
                     bool no_save = false) {
  SearchResult result;
  result.status = status;
  result.stop_verdict = stopped_by;
  return no_profile_line(result, no_save);
}

TEST(FindWords, EachEndWithoutAProfileSaysSoAndHowToGetOne) {
  EXPECT_THAT(words_of(Status::kUnfinished),
              AllOf(HasSubstr("No profile was saved"), HasSubstr("The same command goes on")));
  EXPECT_THAT(words_of(Status::kUnfinished, Verdict::kInterrupted),
              HasSubstr("goes on from here; with --yes it saves one"));
  EXPECT_THAT(words_of(Status::kUnfinished, Verdict::kInterrupted, true),
              AllOf(HasSubstr("goes on from here"), Not(HasSubstr("--yes"))));
  EXPECT_THAT(words_of(Status::kUnfinished, Verdict::kDiverged), HasSubstr("--restart"));
  EXPECT_THAT(words_of(Status::kComplete, std::nullopt, true),
              HasSubstr("with --yes in its place saves one"));
  EXPECT_EQ(words_of(Status::kComplete), "") << "it is saved, or asked for";
}

TEST(FindWords, AnEpochsTimeIsThatOfItsTokens) {
  EXPECT_EQ(epoch_line(890, 123456, 1000),
            "One epoch: 890 rows with 123456 tokens, in about 3 min without evaluations");
  EXPECT_EQ(epoch_line(890, 123456, 0), "");
}

}  // namespace
}  // namespace loadline
