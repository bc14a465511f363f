// Text as it comes, token by token.
#include "text/text_stream.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace loadline {
namespace {

Tokenizer demo_tokenizer() {
  return Tokenizer::load(LOADLINE_SOURCE_DIR "/demo/model/tokenizer.json");
}

bool is_whole_utf8(const std::string& text) {
  return text.find("\xEF\xBF\xBD") == std::string::npos;
}

TEST(TextStream, GivesTheTextInWholeCharacters) {
  const Tokenizer tokenizer = demo_tokenizer();
  const std::string text =
      "naïve café — 日本語の長い文章です 😀😀😀 end";  // by bytes where no piece is
  const std::vector<std::int32_t> before = tokenizer.encode("Before", true);
  TextStream stream(tokenizer, before);
  std::string all;
  for (const std::int32_t id : tokenizer.encode(text, false)) {
    const std::string piece = stream.push(id);
    EXPECT_TRUE(is_whole_utf8(piece)) << piece;
    all += piece;
  }
  EXPECT_EQ(all, text);
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, APromptOfBytesDoesNotTearWhatFollows) {
  const Tokenizer tokenizer = demo_tokenizer();
  TextStream stream(tokenizer, tokenizer.encode("日本語の長い文章です", false));
  std::string all;
  for (const std::int32_t id : tokenizer.encode("語 yes", false)) all += stream.push(id);
  EXPECT_EQ(all, "語 yes");
}

TEST(TextStream, ShowsATornEndAtTheFinishOnly) {
  const Tokenizer tokenizer = demo_tokenizer();
  std::vector<std::int32_t> ids = tokenizer.encode("a日", false);
  ids.pop_back();
  TextStream stream(tokenizer, {});
  std::string all;
  for (const std::int32_t id : ids) all += stream.push(id);
  EXPECT_EQ(all, "a");
  EXPECT_FALSE(is_whole_utf8(stream.finish()));
}

// Decoded together, the stray byte would tear the character before it, which was shown.
TEST(TextStream, AStrayByteTearsNothingThatWasShown) {
  const Tokenizer tokenizer = demo_tokenizer();
  TextStream stream(tokenizer, {});
  std::string all;
  for (const char* token : {"a", "<0xC3>", "<0xA9>", "<0xBF>", "b", "<0xE6>"}) {
    all += stream.push(tokenizer.id_of(token).value());
  }
  EXPECT_EQ(all,
            "aé\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(stream.finish(), "\xEF\xBF\xBD");
}

TEST(TextStream, SpecialTokensHaveNoText) {
  const Tokenizer tokenizer = demo_tokenizer();
  TextStream stream(tokenizer, {});
  EXPECT_EQ(stream.push(2046), "");
  EXPECT_EQ(stream.push(2), "");
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace loadline
