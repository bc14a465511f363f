#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "base/error.h"
#include "text/tokenizer.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;
using Ids = std::vector<std::int32_t>;

// A file with the model {a: 0, b: 1, ab: 2} and these members beside it.
std::string file_with(const std::string& members,
                      const std::string& model = R"("merges":["a b"])") {
  return R"({)" + members + R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},)" + model + "}}";
}

std::string error_of(const std::string& document) {
  try {
    (void)Tokenizer::parse(document, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("t.json"));
    return error.what();
  }
  return "no error";
}

TEST(TokenizerFile, UnknownComponentsAreNamed) {
  EXPECT_THAT(error_of(file_with(R"("normalizer":{"type":"Other"},)")),
              HasSubstr("normalizer 'Other'"));
  EXPECT_THAT(error_of(file_with(R"("normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},
                                   {"type":"Romanize"}]},)")),
              HasSubstr("normalizer 'Romanize'"));
  EXPECT_THAT(error_of(file_with(R"("pre_tokenizer":{"type":"UnicodeScripts"},)")),
              HasSubstr("pre-tokenizer 'UnicodeScripts'"));
  EXPECT_THAT(error_of(file_with(R"("post_processor":{"type":"Other"},)")),
              HasSubstr("post-processor 'Other'"));
  EXPECT_THAT(error_of(file_with(R"("decoder":{"type":"CTC"},)")), HasSubstr("decoder 'CTC'"));
  EXPECT_THAT(error_of(R"({"model":{"type":"WordLevel","vocab":{}}})"), HasSubstr("'WordLevel'"));
  EXPECT_THAT(error_of(file_with(R"("pre_tokenizer":{"type":"Split","pattern":{"String":"a"},
                                   "behavior":"Sideways","invert":false},)")),
              HasSubstr("'Sideways'"));
  EXPECT_THAT(error_of(file_with("", R"("merges":[],"dropout":0.1)")), HasSubstr("dropout 0.1"));
}

TEST(TokenizerFile, MalformedPartsAreRefused) {
  EXPECT_THAT(error_of(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of("[]"), HasSubstr("should be an object"));
  EXPECT_THAT(error_of("{}"), HasSubstr("'model'"));
  EXPECT_THAT(error_of(R"({"model":{"type":"BPE","merges":[]}})"), HasSubstr("'vocab'"));
  EXPECT_THAT(error_of(R"({"model":{"vocab":{"a":-1},"merges":[]}})"), HasSubstr("id -1"));
  EXPECT_THAT(error_of(R"({"model":{"vocab":{"a":4294967296},"merges":[]}})"),
              HasSubstr("id 4294967296"));
  EXPECT_THAT(error_of(R"({"model":{"vocab":{"a":1.5},"merges":[]}})"),
              HasSubstr("not an integer"));
  EXPECT_THAT(error_of(R"({"model":{"vocab":{"a":0,"a":1},"merges":[]}})"),
              HasSubstr("stands twice"));
  EXPECT_THAT(error_of(file_with("", R"("merges":["a c"])")),
              HasSubstr("merge 0 needs the token 'c'"));
  EXPECT_THAT(error_of(file_with("", R"("merges":["b a"])")), HasSubstr("'ba'"));
  EXPECT_THAT(error_of(file_with("", R"("merges":["ab"])")), HasSubstr("merge 0"));
  EXPECT_THAT(error_of(file_with("", R"("merges":["a b c"])")), HasSubstr("merge 0"));
  EXPECT_THAT(error_of(file_with("", R"("merges":[["a"]])")), HasSubstr("merge 0"));
  EXPECT_THAT(error_of(file_with(R"("added_tokens":[{"content":3,"id":3}],)")),
              HasSubstr("'content'"));
  EXPECT_THAT(error_of(file_with(R"("post_processor":{"type":"BertProcessing","cls":["x",9],
                                   "sep":["y",9]},)")),
              HasSubstr("id 9, which no token has"));
}

TEST(TokenizerFile, MalformedUnigramsAreRefused) {
  const auto error_with = [](const std::string& members) {
    return error_of(R"({"model":{"type":"Unigram",)" + members + "}}");
  };
  EXPECT_THAT(error_with(R"("unk_id":0)"), HasSubstr("'vocab'"));
  EXPECT_THAT(error_with(R"("vocab":[["a"]])"), HasSubstr("entry 0"));
  EXPECT_THAT(error_with(R"("vocab":[["a",0],["b","c"]])"), HasSubstr("entry 1"));
  EXPECT_THAT(error_with(R"("vocab":[["a",0],["a",1]])"), HasSubstr("stands twice"));
  EXPECT_THAT(error_with(R"("unk_id":2,"vocab":[["a",0],["b",1]])"), HasSubstr("unk_id is 2"));
  EXPECT_THAT(error_with(R"("unk_id":"a","vocab":[["a",0]])"), HasSubstr("'unk_id'"));
}

// Base64 of a charsmap: the size of the tree, its units, the replacements.
std::string with_chars_map(const std::string& base64) {
  return file_with(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":")" + base64 +
                   R"("},)");
}

TEST(TokenizerFile, DamagedCharsMapsAreRefused) {
  EXPECT_THAT(error_of(with_chars_map("!")), HasSubstr("not Base64"));
  EXPECT_THAT(error_of(with_chars_map("")), HasSubstr("has 0 bytes"));
  EXPECT_THAT(error_of(with_chars_map("AAAAAA==")), HasSubstr("its tree 0"));
  EXPECT_THAT(error_of(with_chars_map("BAAAAAAA")), HasSubstr("has 6 bytes, but its tree 4"));
  EXPECT_THAT(error_of(with_chars_map("BAAAAAAAAAD/")), HasSubstr("not UTF-8"));
  // One unit, whose children would be behind the end.
  const Tokenizer outside = Tokenizer::parse(with_chars_map("BAAAAAAAAAA="), "t.json");
  EXPECT_THROW((void)outside.encode("a", false), Error);
}

TEST(TokenizerFile, TwoPostProcessorsThatAddTokensAreRefused) {
  EXPECT_THAT(error_of(file_with(
                  R"("post_processor":{"type":"Sequence","processors":[
             {"type":"BertProcessing","cls":["a",0],"sep":["b",1]},{"type":"ByteLevel"},
             {"type":"RobertaProcessing","cls":["a",0],"sep":["b",1]}]},)")),
              HasSubstr("'RobertaProcessing' behind another"));
}

TEST(TokenizerFile, DeepNestingIsRefused) {
  std::string value = R"({"type":"NFC"})";
  for (int i = 0; i < 300; ++i) {
    value = R"({"type":"Sequence","normalizers":[)" + value + "]}";
  }
  EXPECT_THAT(error_of(file_with(R"("normalizer":)" + value + ",")), HasSubstr("not valid JSON"));
}

std::string split_at(const std::string& regex) {
  return file_with(R"("pre_tokenizer":{"type":"Split","pattern":{"Regex":")" + regex +
                   R"("},"behavior":"Removed","invert":false},)");
}

TEST(TokenizerPattern, ThatDoesNotCompileOrMeansTwoThingsIsRefused) {
  EXPECT_THAT(error_of(split_at("(")), HasSubstr("does not compile"));
  EXPECT_THAT(error_of(split_at("\\\\p{Nonsense}")), HasSubstr("Nonsense"));
  EXPECT_THAT(error_of(split_at("[a[b]]")), HasSubstr("a set within a set"));
  EXPECT_THAT(error_of(split_at("[a-z&&[^b]]")), HasSubstr("intersection"));
  EXPECT_THAT(error_of(split_at("[[:graph:]]")), HasSubstr("[:graph:]"));
  EXPECT_THAT(error_of(split_at("(*UCP)a")), HasSubstr("a verb"));
  EXPECT_THAT(error_of(split_at("\\\\C")), HasSubstr("does not compile"));
}

TEST(TokenizerPattern, ThatBacktracksWithoutEndGivesUpWithAnError) {
  const Tokenizer tokenizer = Tokenizer::parse(split_at("(a|aa|a?)+$(?=b)"), "t.json");
  EXPECT_THROW((void)tokenizer.encode(std::string(5000, 'a') + "b", false), Error);
  // The next text is not the worse for it.
  EXPECT_EQ(tokenizer.encode("b", false), (Ids{1}));
}

TEST(TokenizerPattern, ThatIsEmptyCutsBetweenAllCharacters) {
  const Tokenizer tokenizer = Tokenizer::parse(split_at(""), "t.json");
  EXPECT_EQ(tokenizer.encode("abab", false), (Ids{0, 1, 0, 1}));
}

TEST(TokenizerPattern, OfUnicodeMeansWhatOnigurumaMeans) {
  const auto left = [](const std::string& regex, const std::string& text) {
    return Tokenizer::parse(split_at(regex), "t.json").encode("a" + text + "b", false);
  };
  const Ids apart{0, 1};
  const Ids whole{2};
  // Removed: the text between is gone, a and b are two pieces. Kept: an unknown character vanishes,
  // and the pair is merged.
  EXPECT_EQ(left("\\\\s", "\u0085"), apart);
  EXPECT_EQ(left("\\\\s", "\u180E"), whole);
  EXPECT_EQ(left("[^\\\\S ]", "\u00A0"), apart);
  EXPECT_EQ(left("\\\\p{Han}", "\u3001"), whole);      // script extensions are not meant
  EXPECT_EQ(left("\\\\p{Han}", "\U00031350"), apart);  // newer than PCRE2
  EXPECT_EQ(left("\\\\p{Lo}+", "\U00031350"), apart);
  EXPECT_EQ(left("(?=\\\\p{^Lo})[^ab]", "\U00031350"), whole);
  EXPECT_EQ(left("\\u00e9", "\u00E9"), apart);
  EXPECT_EQ(left("\\\\w(?=b)", "\u0301"), apart);
}

TEST(TokenizerPattern, LongRunsOfWhiteSpaceAreNotCatastrophic) {
  const Tokenizer tokenizer =
      Tokenizer::parse(split_at("\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"), "t.json");
  EXPECT_EQ(tokenizer.encode("a" + std::string(2'000'000, ' ') + "b", false), (Ids{0, 1}));
}

TEST(AddedTokens, GetTheIdsThatTheRustLibraryGives) {
  const Tokenizer tokenizer =
      Tokenizer::parse(file_with(R"("added_tokens":[{"id":7,"content":"<y>","special":true},
                {"id":9,"content":"b","special":false},{"id":3,"content":"<x>","special":true}],)"),
                       "t.json");
  EXPECT_EQ(tokenizer.encode("<x><y>b", false), (Ids{4, 3, 1}));
  EXPECT_EQ(tokenizer.vocabulary(), 5);
}

// Each looked through all the white space before it, or behind it.
TEST(AddedTokens, ThatTakeWhiteSpaceAreFoundInLinearTime) {
  const std::string blank = R"("added_tokens":[{"id":3,"content":"\n",)";
  const std::string text = std::string(60'000, '\n') + "a";
  for (const char* takes : {R"("lstrip":true}],)", R"("rstrip":true}],)"}) {
    const Tokenizer tokenizer = Tokenizer::parse(file_with(blank + takes), "t.json");
    const auto begin = std::chrono::steady_clock::now();
    const Ids ids = tokenizer.encode(text, false);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10)) << takes;
    ASSERT_EQ(ids.size(), 60'001U);
    EXPECT_EQ(ids.front(), 3);
    EXPECT_EQ(ids.back(), 0);
  }
}

TEST(UnknownToken, MissingFromTheVocabularyIsAnErrorWhenItIsNeeded) {
  const Tokenizer tokenizer =
      Tokenizer::parse(file_with("", R"("merges":[],"unk_token":"<unk>")"), "t.json");
  EXPECT_EQ(tokenizer.encode("ab", false), (Ids{0, 1}));
  EXPECT_THROW((void)tokenizer.encode("x", false), Error);
  const Tokenizer word_piece = Tokenizer::parse(
      R"({"model":{"type":"WordPiece","unk_token":"[UNK]","vocab":{"a":0,"##b":1}}})", "t.json");
  EXPECT_EQ(word_piece.encode("abb", false), (Ids{0, 1, 1}));
  EXPECT_THROW((void)word_piece.encode("abc", false), Error);
  const Tokenizer unigram =
      Tokenizer::parse(R"({"model":{"type":"Unigram","vocab":[["a",-1],["ab",-2]]}})", "t.json");
  EXPECT_EQ(unigram.encode("aba", false), (Ids{1, 0}));  // b alone is on no way that is taken
  EXPECT_THROW((void)unigram.encode("b", false), Error);
}

TEST(Unigram, CutsALongWordAsItCutsItsParts) {
  // No token reaches over the b's: nothing before one is undecided.
  const Tokenizer tokenizer = Tokenizer::parse(
      R"({"model":{"type":"Unigram","unk_id":0,"vocab":[["?",0],["a",-1],["aa",-1.5],["b",-1]]}})",
      "t.json");
  std::string text;
  Ids wanted;
  for (int i = 0; i < 100'000; ++i) {
    text += "aaab";
    for (const int id : {2, 1, 3}) wanted.push_back(id);
  }
  const Ids ids = tokenizer.encode(text, false);
  ASSERT_EQ(ids.size(), wanted.size());
  // Which of a, aa and aa, a comes first is left to rounding.
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 2), 100'000);
}

}  // namespace
}  // namespace loadline
