#include "text/lenient_json.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

TEST(LenientJson, LeavesWhatIsValid) {
  for (const char* json : {R"("")", R"("a\ud83d\ude00b")", R"("\\ud800")", R"("\u0041\n\"")",
                           "\"é😀\"", R"("\u12")", R"("\)", R"({"a":[1,"\uDBFF\uDFFF"]})"}) {
    EXPECT_EQ(with_valid_unicode(json), json);
  }
}

TEST(LenientJson, ReplacesHalvesOfSurrogatePairs) {
  EXPECT_EQ(with_valid_unicode(R"("a\ud800b")"), R"("a\ufffdb")");
  EXPECT_EQ(with_valid_unicode(R"("\udc00\uD800")"), R"("\ufffd\ufffd")");
  EXPECT_EQ(with_valid_unicode(R"("\ud800\ud83d\ude00")"), R"("\ufffd\ud83d\ude00")");
  EXPECT_EQ(with_valid_unicode(R"("\\\ud800")"), R"("\\\ufffd")");
}

TEST(LenientJson, ReplacesInvalidBytes) {
  EXPECT_EQ(with_valid_unicode("\"a\xFF\xE2\x82z\""), "\"a\uFFFD\uFFFDz\"");
}

}  // namespace
}  // namespace loadline
