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

TEST(LenientJson, ReplacesWhatJsonAllowsAndNoTypeHolds) {
  const auto mended = [](std::string_view json) { return with_holdable_values(json, "7", "h"); };
  EXPECT_EQ(mended(R"([18446744073709551616,-9223372036854775809,1e400,-1.5E+999])"), "[7,7,7,7]");
  EXPECT_EQ(mended(R"({"1e400\ud83d":"1e400\"\ud83d\"})"), R"({"1e400h":"1e400\"h\"})");
  for (const char* json : {R"([18446744073709551615,-9223372036854775808,1e308,-0.5])",
                           R"("\ud83d\ude00\u0041\n")", "01e400", "1.e400", "1e400.", "--1e400",
                           "1e400e1", "[00099999999999999999999]", R"("\ud8)", R"("\)"}) {
    EXPECT_EQ(mended(json), json);
  }
}

}  // namespace
}  // namespace loadline
