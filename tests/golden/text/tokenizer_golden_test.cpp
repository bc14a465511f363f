// Tiny tokenizers of each style against the Rust library: tests/golden/make_tokenizer_golden.js.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<std::int32_t>;

std::vector<std::string> names() {
  std::vector<std::string> names;
  const fs::path folder = fs::path(LOADLINE_SOURCE_DIR) / "tests/golden/text/tokenizers";
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class TokenizerGolden : public ::testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, EqualsTheRustLibrary) {
  const Json golden = read_json(fs::path(LOADLINE_SOURCE_DIR) / "tests/golden/text/tokenizers" /
                                (GetParam() + ".json"));
  const Tokenizer tokenizer = Tokenizer::parse(golden["tokenizer"].dump(), GetParam());
  ASSERT_GE(golden["cases"].size(), 50U);
  for (const Json& c : golden["cases"]) {
    const auto text = c["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text, false), c["ids"].get<Ids>()) << c["text"].dump();
    const Ids with_special = tokenizer.encode(text, true);
    EXPECT_EQ(with_special, c["with_special"].get<Ids>()) << c["text"].dump();
    EXPECT_EQ(tokenizer.decode(with_special, false), c["decoded"].get<std::string>());
    EXPECT_EQ(tokenizer.decode(with_special, true), c["without_special"].get<std::string>());
    // Once more: the words are known now.
    EXPECT_EQ(tokenizer.encode(text, false), c["ids"].get<Ids>()) << c["text"].dump();
  }
}

INSTANTIATE_TEST_SUITE_P(Styles, TokenizerGolden, ::testing::ValuesIn(names()),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace loadline
