#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer.h"

namespace loadline {
namespace {

using Ids = std::vector<std::int32_t>;

const std::filesystem::path kDemoFolder = std::filesystem::path(LOADLINE_SOURCE_DIR) / "demo";

const Tokenizer& demo() {
  static const Tokenizer tokenizer = Tokenizer::load(kDemoFolder / "model/tokenizer.json");
  return tokenizer;
}

TEST(DemoTokenizer, GivesTheReferenceIds) {
  const Json golden = read_json(kDemoFolder / "golden.json");
  ASSERT_GE(golden["tokens"].size(), 5U);
  for (const Json& entry : golden["tokens"]) {
    const auto text = entry["text"].get<std::string>();
    const auto ids = entry["ids"].get<Ids>();
    EXPECT_EQ(demo().encode(text, false), ids) << text;
    Ids with_special = ids;
    with_special.insert(with_special.begin(), 1);
    EXPECT_EQ(demo().encode(text, true), with_special) << text;
    EXPECT_EQ(demo().decode(ids, false), text);
  }
}

TEST(DemoTokenizer, DecodeGivesBackWhatWasEncoded) {
  for (const std::string text : {"", " ", "  leading", "trailing  ", "line\nline\r\n\t.",
                                 "naïve café — 日本", "a\xF0\x9F\x98\x80z", "<0x41> is not A"}) {
    EXPECT_EQ(demo().decode(demo().encode(text, false), false), text);
  }
}

TEST(DemoTokenizer, SpecialTokensAreFoundInTextAndLeftOutOnRequest) {
  const Ids ids = demo().encode("<|im_start|>user\n<|im_end|>", false);
  EXPECT_EQ(ids, (Ids{2046, 684, 13, 2047}));
  EXPECT_EQ(demo().decode(ids, true), "user\n");
  EXPECT_EQ(demo().decode(ids, false), "<|im_start|>user\n<|im_end|>");
  EXPECT_EQ(demo().id_of("<|im_end|>"), 2047);
  EXPECT_EQ(demo().id_of("</s>"), 2);
  EXPECT_EQ(demo().id_of("<|no_such|>"), std::nullopt);
  EXPECT_EQ(demo().vocabulary(), 2048);
}

TEST(DemoTokenizer, IdsThatNoTokenHasAreLeftOutByDecode) {
  EXPECT_EQ(demo().decode(Ids{1271, 999999, -5, 262}, false), "In the");
}

TEST(DemoTokenizer, InvalidUtf8BecomesReplacementCharacters) {
  const Ids replaced = demo().encode("a\uFFFDb", false);
  EXPECT_EQ(demo().encode("a\xFF"
                          "b",
                          false),
            replaced);
  EXPECT_EQ(demo().encode("a\xE6\x97"
                          "b",
                          false),
            replaced);  // the beginning of a character is one part
  EXPECT_EQ(demo().encode("a\xC0\x80"
                          "b",
                          false),
            demo().encode("a\uFFFD\uFFFDb", false));
}

TEST(DemoTokenizer, ThreadsShareOneTokenizer) {
  const std::string text = "In the beginning God created the heaven and the earth.";
  const Ids expected = demo().encode(text, false);
  std::vector<std::thread> threads;
  std::vector<int> differences(4, 0);
  for (int& difference : differences) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) difference += demo().encode(text, false) == expected ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(differences, std::vector<int>(4, 0));
}

TEST(DemoTokenizer, AVeryLongWordIsNotQuadratic) {
  std::string text;
  for (int i = 0; i < 250'000; ++i) text += "heaven"[i % 6];
  EXPECT_EQ(demo().decode(demo().encode(text, false), false), text);
}

}  // namespace
}  // namespace loadline
