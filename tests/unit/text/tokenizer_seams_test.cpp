// Long conversations are encoded piece by piece: behind a seam, a text's beginnings give the ids
// that they give as a whole.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace loadline {
namespace {

// One added token of each kind, and a normalizer that treats a text's beginning otherwise.
constexpr std::string_view kSeamed = R"({"added_tokens":[
  {"id":0,"content":"<u>","special":true},{"id":1,"content":"<s>","special":true},
  {"id":2,"content":"<l>","lstrip":true},{"id":3,"content":"<r>","rstrip":true},
  {"id":4,"content":"word","single_word":true},{"id":5,"content":"<n>","normalized":true}],
  "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"_"},
    {"type":"Replace","pattern":{"String":" "},"content":"_"}]},
  "pre_tokenizer":null,"post_processor":null,"decoder":null,
  "model":{"type":"BPE","unk_token":"<u>","vocab":{"<u>":0,"a":6,"b":7,"_":8,"ab":9,"_a":10,
  "<":11,"s":12,">":13,"\n":14,"w":15,"o":16,"r":17,"d":18,"s>":19},
  "merges":["a b","_ a","s >"]}})";

TEST(Seams, BehindThemBeginningsOfATextGiveTheirOwnIds) {
  const Tokenizer tokenizer = Tokenizer::parse(kSeamed, "made up");
  const std::vector<std::string> pieces{"<s>", "<l>", "<r>", "word", "<n>", " ",
                                        "  ",  "a",   "ab",  "é",    "s",   "\n"};
  std::mt19937 random(1);
  std::size_t compared = 0;
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (std::size_t i = random() % 12; i > 0; --i) text += pieces[random() % pieces.size()];
    std::vector<Tokenizer::Seam> seams;
    const std::vector<std::int32_t> ids = tokenizer.encode(text, seams);
    ASSERT_EQ(ids, tokenizer.encode(text, false));
    for (const Tokenizer::Seam& seam : seams) {
      for (std::size_t end = seam.bytes; end <= text.size(); ++end, ++compared) {
        const std::string beginning = text.substr(0, end);
        std::vector<std::int32_t> pieced(ids.begin(),
                                         ids.begin() + static_cast<std::ptrdiff_t>(seam.ids));
        const auto behind = tokenizer.encode_behind(beginning, seam);
        pieced.insert(pieced.end(), behind.begin(), behind.end());
        ASSERT_EQ(pieced, tokenizer.encode(beginning, false)) << beginning << '|' << seam.bytes;
      }
    }
  }
  EXPECT_GT(compared, 1000U);
}

TEST(Seams, AreNotInTextThatIsNoUtf8) {
  const Tokenizer tokenizer = Tokenizer::parse(kSeamed, "made up");
  std::vector<Tokenizer::Seam> seams;
  EXPECT_EQ(tokenizer.encode("\xFF<s>a", seams), tokenizer.encode("\xFF<s>a", false));
  EXPECT_TRUE(seams.empty());
}

}  // namespace
}  // namespace loadline
