#include "text/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "text/data_files.h"
#include "text/lines.h"
#include "text/packed.h"

namespace loadline {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Characters are tokens: a to e are 0 to 4, "ab" is 5, <e> is 6, the ChatML markers 7 and 8,
// "\n" 9.
constexpr std::string_view kTokenizer = R"({"added_tokens":[
  {"id":6,"content":"<e>","special":true},{"id":7,"content":"<|im_start|>","special":true},
  {"id":8,"content":"<|im_end|>","special":true}],
  "normalizer":null,"pre_tokenizer":null,"post_processor":null,"decoder":null,
  "model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"d":3,"e":4,"ab":5,"<e>":6,"<|im_start|>":7,
  "<|im_end|>":8,"\n":9},"merges":["a b"]}})";

class Rows : public ::testing::Test {
 protected:
  void put(const std::string& name, std::string_view content) {
    replace_file(folder_.path() / name, content);
  }
  RowReader reader(bool mask_prompt = false, std::int64_t vocab_size = 10) {
    return {folder_.path(), vocab_size, {.mask_prompt = mask_prompt}};
  }
  // The message of the error that reading gives.
  static std::string error_of(const RowReader& reader, std::string_view line) {
    try {
      (void)reader.read(line);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return error.what();
    }
    return "no error";
  }
  TemporaryFolder folder_;
};

TEST_F(Rows, OfIdsNeedNoTokenizer) {
  const TokenizedRow row = reader().read(R"({"input_ids":[0,9,3],"other":{"x":[1]}})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{0, 9, 3}));
  EXPECT_EQ(row.in_loss, std::vector<bool>(3, true));
  EXPECT_FALSE(row.provenance);
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[0,10]})"),
              HasSubstr("10, but the model's ids are 0 to 9"));
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[-1]})"), HasSubstr("-1"));
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[1.5]})"), HasSubstr("1.5, which is not an id"));
  EXPECT_THAT(error_of(reader(), R"({"input_ids":"a"})"), HasSubstr("list of token ids"));
  try {
    (void)reader().read(R"({"text":"a"})");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage) << "the row is not bad";
    EXPECT_THAT(error.what(), HasSubstr("needs a tokenizer.json"));
  }
}

TEST_F(Rows, ProvenanceIsCheckedAlways) {
  const RowReader ids = reader();
  const auto row = [](const std::string& fields) {
    return R"({"input_ids":[1,2],)" + fields + "}";
  };
  const auto good = ids.read(row(R"("auth_weight":0.99,"prov_entropy":0)")).provenance;
  ASSERT_TRUE(good);
  EXPECT_EQ(good->authority_weight, 0.99F);
  EXPECT_EQ(good->provenance_entropy, 0.0F);
  EXPECT_FALSE(ids.read(row(R"("auth_weight":null,"prov_entropy":null)")).provenance);
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":1.5,"prov_entropy":0)")),
              HasSubstr("'auth_weight' is 1.5, but it must be within 0 and 0.99"));
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":-0.1,"prov_entropy":0)")), HasSubstr("-0.1"));
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":0.5,"prov_entropy":-2)")),
              HasSubstr("'prov_entropy' is -2"));
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":0.5,"prov_entropy":1e300)")), HasSubstr("finite"));
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":"0.5","prov_entropy":1)")),
              HasSubstr("should be a number"));
  EXPECT_THAT(error_of(ids, row(R"("auth_weight":0.5)")), HasSubstr("'prov_entropy' is missing"));
  EXPECT_THAT(error_of(ids, row(R"("prov_entropy":0.5)")), HasSubstr("'auth_weight' is missing"));
}

TEST_F(Rows, OfNoKnownFormAreToldTheForms) {
  EXPECT_THAT(error_of(reader(), R"({"content":"a"})"),
              HasSubstr(R"({"messages"}, {"instruction", "input", "output"}, {"input_ids"})"));
  EXPECT_THAT(error_of(reader(), R"({"prompt":"a"})"), HasSubstr("'completion' is missing"));
  EXPECT_THAT(error_of(reader(), "[1]"), HasSubstr("should be a JSON object"));
  EXPECT_THAT(error_of(reader(), R"({"text":)"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(reader(), "{\"text\":\"\xFF\"}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(reader(), std::string(100, '[') + std::string(100, ']')),
              HasSubstr("not valid JSON"));
}

TEST_F(Rows, AKeyThatStandsTwiceIsAnErrorWhereItIsUsed) {
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[1,2],"input_ids":[3,4]})"),
              HasSubstr("key 'input_ids' stands twice"));
  EXPECT_THAT(error_of(reader(), R"({"input_ids":null,"input_ids":[3,4]})"),
              HasSubstr("key 'input_ids' stands twice"));
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[1],"auth_weight":0,"auth_weight":0.5})"),
              HasSubstr("key 'auth_weight' stands twice"));
  EXPECT_EQ(reader().read(R"({"id":1,"input_ids":[1,2],"id":2})").ids.size(), 2U);
}

TEST_F(Rows, AnyJsonIsPassedOverInOtherKeysAndWhatCannotBeHeldIsNamedInUsedOnes) {
  put("tokenizer.json", kTokenizer);
  for (const char* value :
       {"184467440737095516160", "-1e400", R"("\ud83d")", R"({"\udc00":[1e999]})"}) {
    const std::string other = std::string(R"({"id":)") + value + R"(,"text":"ab","score":)" + value;
    EXPECT_EQ(reader().read(other + "}").ids, (std::vector<std::int32_t>{5}));
    EXPECT_THAT(error_of(reader(), other + R"(,"prov_entropy":)" + value + "}"),
                HasSubstr("'prov_entropy' has a number that is too large"));
    EXPECT_THAT(error_of(reader(), other + "x}"), HasSubstr("not valid JSON"));
  }
  EXPECT_THAT(error_of(reader(), R"({"text":"a\ud83d"})"),
              HasSubstr("'text' has a number that is too large, or an escape of half a surrogate"));
  EXPECT_THAT(error_of(reader(), R"({"text":"a","id":tru})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of(reader(), "[1e999]"), HasSubstr("should be a JSON object"));
}

TEST_F(Rows, OfTextGetTheEndOfTextOnce) {
  put("tokenizer.json", kTokenizer);
  EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (std::vector<std::int32_t>{5, 2}));
  put("tokenizer_config.json", R"({"eos_token":{"content":"<e>","special":true}})");
  EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (std::vector<std::int32_t>{5, 2, 6}));
  EXPECT_EQ(reader().read(R"({"text":"abc<e>"})").ids, (std::vector<std::int32_t>{5, 2, 6}));
  EXPECT_TRUE(reader().read(R"({"text":""})").ids.empty());
  EXPECT_THAT(error_of(reader(), R"({"text":3})"),
              HasSubstr("'text' should be a string, but it is 3"));
  EXPECT_THAT(error_of(reader(false, 6), R"({"text":"abc"})"),
              HasSubstr("gives the id 6, but the model's ids are 0 to 5"));
  EXPECT_THAT(error_of(reader(true), R"({"text":"abc"})"),
              HasSubstr("no prompt that could be masked"));
}

TEST_F(Rows, ATokenAcrossTheBoundaryIsLearned) {
  // No chat template and no ChatML: the completion follows the prompt.
  put("tokenizer.json",
      R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3},"merges":["a b"]}})");
  const TokenizedRow row = reader(true).read(R"({"prompt":"ca","completion":"bc"})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{2, 3, 2}));
  EXPECT_EQ(row.in_loss, (std::vector<bool>{false, true, true}));
  EXPECT_THAT(error_of(reader(), R"({"messages":[{"role":"user","content":"a"}]})"),
              HasSubstr("no chat template"));
}

TEST_F(Rows, MessagesAreCheckedBeforeTheTemplateSeesThem) {
  put("tokenizer.json", kTokenizer);
  EXPECT_THAT(error_of(reader(), R"({"messages":[]})"), HasSubstr("list of messages"));
  EXPECT_THAT(error_of(reader(), R"({"messages":[{"content":"a"}]})"),
              HasSubstr("message 1 has no 'role'"));
  EXPECT_THAT(error_of(reader(), R"({"messages":[{"role":"user"}]})"),
              HasSubstr("neither 'content'"));
  EXPECT_THAT(error_of(reader(), R"({"prompt":"a","completion":[{"role":"user","content":"a"}]})"),
              HasSubstr("both"));
}

TEST_F(Rows, ToolsThatAreAStringAreTheJsonInIt) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja", "{% for t in tools or [] %}{{ t.name }}{% endfor %}");
  const auto row = [](const std::string& tools) {
    return R"({"messages":[{"role":"user","content":"d"}],"tools":)" + tools + "}";
  };
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(reader().read(row(R"([{"name":"c"},{"name":"d"}])")).ids, (Ids{2, 3}));
  EXPECT_EQ(reader().read(row(R"("[{\"name\":\"c\"},{\"name\":\"d\"}]")")).ids, (Ids{2, 3}));
  EXPECT_EQ(reader().read(row("null")).ids, reader().read(row(R"("null")")).ids);
  EXPECT_THAT(error_of(reader(), row(R"({"name":"c"})")),
              HasSubstr(R"('tools' should be a list of objects, or a string that has one as JSON, )"
                        R"(but it is {"name":"c"})"));
  EXPECT_THAT(error_of(reader(), row(R"("{\"name\":\"c\"}")")), HasSubstr("a list of objects"));
  EXPECT_THAT(error_of(reader(), row(R"([{"name":"c"},"d"])")),
              HasSubstr(R"('tools': number 2 should be an object, but it is "d")"));
  EXPECT_THAT(error_of(reader(), row(R"("a tool")")),
              HasSubstr("'tools', a string: not valid JSON at byte 1"));
}

TEST_F(Rows, ValuesInErrorsAreCutBetweenCharacters) {
  for (const std::string before : {"", "a", "ab"}) {
    std::string text = before;
    for (int i = 0; i < 30; ++i) text += "é";
    const std::string error = error_of(reader(), R"({"input_ids":")" + text + R"("})");
    EXPECT_THAT(error, HasSubstr("éé..."));
  }
}

TEST_F(Rows, WithoutATemplateChatMlMarkersAreEnough) {
  put("tokenizer.json", kTokenizer);
  const TokenizedRow row = reader().read(R"({"messages":[{"role":"abc","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 5, 2, 9, 3, 8, 9}));
}

TEST_F(Rows, TheTemplateOfTheJinjaFileGoesBeforeTheOneInTheConfig) {
  put("tokenizer.json", kTokenizer);
  put("tokenizer_config.json",
      R"({"chat_template":[{"name":"tool_use","template":"e"},{"name":"default","template":"a"}]})");
  const std::string_view line = R"({"messages":[{"role":"user","content":"d"}]})";
  EXPECT_EQ(reader().read(line).ids, (std::vector<std::int32_t>{0}));
  const std::string before = reader().fingerprint();
  put("chat_template.jinja", "{{ messages[0].content }}c");
  EXPECT_EQ(reader().read(line).ids, (std::vector<std::int32_t>{3, 2}));
  EXPECT_NE(reader().fingerprint(), before);
}

TEST_F(Rows, WithToolsTheTemplateForTheirUseIsTaken) {
  put("tokenizer.json", kTokenizer);
  const std::string plain = R"({"messages":[{"role":"user","content":"c"}]})";
  const std::string with_tools = R"({"messages":[{"role":"user","content":"c"}],"tools":[{}]})";
  const auto ids = [&](const std::string& row) { return reader().read(row).ids; };
  const std::string usual = R"({"name":"default","template":"d{{ messages[0].content }}"})";
  put("tokenizer_config.json",
      R"({"chat_template":[)" + usual +
          R"(,{"name":"tool_use","template":"e{{ messages[0].content }}"}]})");
  EXPECT_EQ(ids(plain), (std::vector<std::int32_t>{3, 2}));
  EXPECT_EQ(ids(with_tools), (std::vector<std::int32_t>{4, 2}));
  put("tokenizer_config.json", R"({"chat_template":[)" + usual + "]}");
  EXPECT_EQ(ids(with_tools), (std::vector<std::int32_t>{3, 2}));
  put("tokenizer_config.json",
      R"({"chat_template":[)" + usual + R"(,{"name":"tool_use","template":"{% if %}"}]})");
  EXPECT_EQ(ids(plain), (std::vector<std::int32_t>{3, 2}));
  EXPECT_THAT(error_of(reader(), with_tools), HasSubstr("tool_use"));
}

TEST_F(Rows, WithToolsTheAdditionalTemplateForTheirUseIsTaken) {
  put("tokenizer.json", kTokenizer);
  const std::string plain = R"({"messages":[{"role":"user","content":"c"}]})";
  const std::string with_tools = R"({"messages":[{"role":"user","content":"c"}],"tools":[{}]})";
  put("chat_template.jinja", "d{{ messages[0].content }}");
  const std::string before = reader().fingerprint();
  make_folder(folder_.path() / "additional_chat_templates");
  put("additional_chat_templates/tool_use.jinja", "e{{ messages[0].content }}");
  EXPECT_EQ(reader().read(plain).ids, (std::vector<std::int32_t>{3, 2}));
  EXPECT_EQ(reader().read(with_tools).ids, (std::vector<std::int32_t>{4, 2}));
  EXPECT_NE(reader().fingerprint(), before);
  put("additional_chat_templates/tool_use.jinja", "{% if %}");
  EXPECT_THAT(error_of(reader(), with_tools), HasSubstr("tool_use.jinja"));
}

TEST_F(Rows, OfOneFingerprintAreEqualOnEveryDay) {
  using namespace std::chrono;
  put("tokenizer.json", kTokenizer);
  const auto on = [&](year_month_day date) {
    return RowReader(folder_.path(), 10, {.mask_prompt = false, .date = date});
  };
  const year_month_day one = year(2026) / 11 / 8;
  const year_month_day other = year(2026) / 11 / 9;
  const auto text = [](const RowReader& reader) { return reader.render(Json::array(), {}, false); };
  put("chat_template.jinja", "{{ strftime_now('%d %b %Y %H:%M:%S %j %a') }}");
  EXPECT_EQ(text(on(one)), "08 Nov 2026 00:00:00 312 Sun");
  EXPECT_EQ(text(on(other)), "09 Nov 2026 00:00:00 313 Mon");
  EXPECT_EQ(on(one).fingerprint(), on(one).fingerprint());
  EXPECT_NE(on(one).fingerprint(), on(other).fingerprint());
  put("chat_template.jinja", "a");
  EXPECT_EQ(on(one).fingerprint(), on(other).fingerprint()) << "nobody asks for it";
}

// As transformers 4 makes the post-processor of these classes anew.
TEST_F(Rows, TheSwitchesForBosAndEosCountInTheClassesThatReadThem) {
  put("tokenizer.json", kTokenizer);
  const auto ids = [&](const std::string& settings) {
    put("tokenizer_config.json", R"({"bos_token":"a","eos_token":"<e>",)" + settings + "}");
    return reader().tokenizer()->encode("c", true);
  };
  using Ids = std::vector<std::int32_t>;
  for (const std::string name :
       {"LlamaTokenizer", "LlamaTokenizerFast", "GemmaTokenizer", "GemmaTokenizerFast"}) {
    const std::string type = R"("tokenizer_class":")" + name + '"';
    EXPECT_EQ(ids(type + R"(,"add_bos_token":true,"add_eos_token":true)"), (Ids{0, 2, 6})) << name;
    EXPECT_EQ(ids(type + R"(,"add_eos_token":true)"), (Ids{0, 2, 6})) << "bos is usual";
    EXPECT_EQ(ids(type + R"(,"add_bos_token":false)"), (Ids{2}));
    EXPECT_EQ(ids(type), (Ids{2})) << "tokenizer.json's own";
  }
  EXPECT_EQ(ids(R"("tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":true)"), (Ids{2}));
  put("tokenizer_config.json",
      R"({"tokenizer_class":"LlamaTokenizer","bos_token":"<x>","add_bos_token":true})");
  try {
    (void)reader();
    FAIL() << "a token that is not there was added";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("add_bos_token"), HasSubstr("'<x>'")));
  }
}

// tokenizer.json without the markers of ChatML; transformers adds them from the settings.
TEST_F(Rows, SpecialTokensThatOnlyTheSettingsNameAreFound) {
  put("tokenizer.json",
      R"({"added_tokens":[{"id":6,"content":"<e>","special":true}],
          "model":{"type":"BPE","unk_token":"a","vocab":{"a":0,"b":1,"c":2,"d":3,"e":4,"ab":5,
          "<e>":6,"</s>":7,"s":8,"<":9,">":10,"/":11},"merges":["a b"]}})");
  using Ids = std::vector<std::int32_t>;
  const auto ids = [&](const std::string& settings, std::int64_t vocabulary = 20) {
    put("tokenizer_config.json", settings);
    return reader(false, vocabulary).tokenizer()->encode("b</s><x> <e>", false);
  };
  const Ids pieces = ids("{}");
  EXPECT_THAT(pieces, testing::ElementsAre(1, 9, 11, 8, 10, 9, 0, 10, 0, 6));
  EXPECT_THAT(ids(R"({"bos_token":"</s>"})"), testing::ElementsAre(1, 7, 9, 0, 10, 0, 6));
  EXPECT_THAT(ids(R"({"additional_special_tokens":[{"content":"</s>","rstrip":false}]})"),
              testing::ElementsAre(1, 7, 9, 0, 10, 0, 6));
  const std::string x = R"({"content":"<x>","rstrip":true,"special":true})";
  EXPECT_THAT(ids(R"({"added_tokens_decoder":{"12":)" + x + "}}"),
              testing::ElementsAre(1, 9, 11, 8, 10, 12, 6));
  EXPECT_EQ(ids(R"({"added_tokens_decoder":{"20":)" + x + "}}"), pieces)
      << "the model has no such id";
  EXPECT_EQ(ids(R"({"pad_token":"<x>"})"), pieces) << "nothing says which id it has";
  put("tokenizer_config.json", R"({"added_tokens_decoder":{"12":)" + x + "}}");
  EXPECT_EQ(reader(false, 20).tokenizer()->decode(Ids{1, 12, 6}, true), "b");
  put("special_tokens_map.json", R"({"eos_token":"</s>"})");
  EXPECT_THAT(reader(false, 20).tokenizer()->encode("</s>", false), testing::ElementsAre(7));
}

TEST_F(Rows, AnAddedTokenKeepsTheIdThatTheTokenizerGivesIt) {
  put("tokenizer.json", kTokenizer);
  put("tokenizer_config.json",
      R"({"added_tokens_decoder":{"9":{"content":"<e>","special":true}}})");
  const RowReader rows = reader();
  EXPECT_EQ(rows.tokenizer()->encode("<e>", false), std::vector<std::int32_t>{6});
  EXPECT_EQ(rows.tokenizer()->decode(std::vector<std::int32_t>{6}, true), "")
      << "special as it says there";
}

TEST_F(Rows, AnAddedTokenWithTheIdOfAnotherIsRefused) {
  put("tokenizer.json", kTokenizer);
  const auto error = [&](const std::string& id, const std::string& content) {
    put("tokenizer_config.json", R"({"added_tokens_decoder":{")" + id + R"(":{"content":")" +
                                     content + R"(","special":true}}})");
    try {
      (void)reader();
    } catch (const Error& refusal) {
      return std::string(refusal.what());
    }
    return std::string();
  };
  EXPECT_EQ(error("6", "<e>"), "");
  EXPECT_THAT(error("3", "<x>"), HasSubstr("tokenizer_config.json: added_tokens_decoder gives the "
                                           "token '<x>' the id 3, which is that of 'd' in "
                                           "tokenizer.json"));
  EXPECT_THAT(error("one", "<x>"), HasSubstr("'one', which is not an id"));
}

TEST_F(Rows, TheMapOfSpecialTokensCountsWhereTheSettingsHaveNoTableOfThem) {
  put("tokenizer.json", kTokenizer);
  put("special_tokens_map.json", R"({"eos_token":"<|im_end|>"})");
  put("tokenizer_config.json", R"({"eos_token":"<e>"})");
  EXPECT_EQ(reader().end_of_text(), 8);
  put("tokenizer_config.json",
      R"({"eos_token":"<e>","added_tokens_decoder":{"6":{"content":"<e>","special":true}}})");
  EXPECT_EQ(reader().end_of_text(), 6);
}

TEST_F(Rows, AnEndOfTextThatTheTokenizerDoesNotKnowIsAnErrorOfTexts) {
  put("tokenizer_config.json", R"({"eos_token":"<x>"})");
  EXPECT_EQ(reader().read(R"({"input_ids":[1,2]})").ids.size(), 2U) << "needs no tokenizer";
  put("tokenizer.json", kTokenizer);
  try {
    EXPECT_EQ(reader().read(R"({"input_ids":[1,2]})").ids.size(), 2U) << "needs no end";
    (void)reader().read(R"({"text":"abc"})");
    FAIL() << "texts would have no end";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("eos_token is '<x>'"), HasSubstr("tokenizer.json")));
  }
}

TEST_F(Rows, TheEndOfTextIsTheConfigsWhereTheTokenizerNamesNone) {
  put("tokenizer.json", kTokenizer);
  const std::string before = reader().fingerprint();
  using Ids = std::vector<std::int32_t>;
  put("config.json", R"({"eos_token_id":6})");
  EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (Ids{5, 2, 6}));
  EXPECT_NE(reader().fingerprint(), before);
  put("config.json", R"({"eos_token_id":[8,6]})");
  EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (Ids{5, 2, 8}));
  for (const char* none : {"{}", R"({"eos_token_id":null})", R"({"eos_token_id":[]})"}) {
    put("config.json", none);
    EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (Ids{5, 2})) << none;
  }
  put("config.json", R"({"eos_token_id":6})");
  put("tokenizer_config.json", R"({"eos_token":"<|im_end|>"})");
  EXPECT_EQ(reader().read(R"({"text":"abc"})").ids, (Ids{5, 2, 8}));
}

TEST_F(Rows, ALinkToNothingIsNotAMissingFile) {
  put("tokenizer.json", kTokenizer);
  for (const char* name : {"chat_template.jinja", "tokenizer_config.json"}) {
    for (const char* target : {"nowhere", name}) {
      std::filesystem::create_symlink(target, folder_.path() / name);
      EXPECT_THROW((void)reader(), Error) << name << " -> " << target;
      std::filesystem::remove(folder_.path() / name);
    }
  }
  EXPECT_NO_THROW((void)reader());
}

TEST_F(Rows, OfIdsAreLearnedWhereTheirLabelsSaySo) {
  const auto read = [&](const std::string& more) {
    return reader().read(R"({"input_ids":[1,2,3,4],)" + more + "}");
  };
  EXPECT_EQ(read(R"("labels":[-100,-100,3,4])").in_loss,
            (std::vector<bool>{false, false, true, true}));
  EXPECT_EQ(read(R"("labels":null)").in_loss, std::vector<bool>(4, true));
  const auto error = [&](const std::string& more) {
    return error_of(reader(), R"({"input_ids":[1,2,3,4],)" + more + "}");
  };
  EXPECT_THAT(error(R"("labels":[-100,3,4,-100])"),
              HasSubstr("'labels' has 3 as number 2, where 'input_ids' has 2: a label is its "
                        "token's id, or -100 where it is not to be learned"));
  EXPECT_THAT(error(R"("labels":[1,2,3])"), HasSubstr("'labels' has 3 numbers, 'input_ids' 4"));
  EXPECT_THAT(error(R"("labels":"all")"), HasSubstr("'labels' should be a list of"));
  EXPECT_THAT(error(R"("labels":[1,2,3,4.5])"), HasSubstr("4.5"));
}

TEST_F(Rows, OfIdsAreWithoutThePaddingThatTheirAttentionMaskTells) {
  const auto read = [&](const std::string& mask) {
    return reader().read(R"({"input_ids":[1,2,3,0],"labels":[-100,2,3,0],"attention_mask":)" +
                         mask + "}");
  };
  using Ids = std::vector<std::int32_t>;
  EXPECT_EQ(read("[1,1,1,1]").ids, (Ids{1, 2, 3, 0}));
  EXPECT_EQ(read("[1,1,1,0]").ids, (Ids{1, 2, 3}));
  EXPECT_EQ(read("[1,1,1,0]").in_loss, (std::vector<bool>{false, true, true}));
  EXPECT_EQ(read("[0,1,1,0]").ids, (Ids{2, 3}));
  EXPECT_EQ(read("[0,1,1,0]").in_loss, (std::vector<bool>{true, true}));
  EXPECT_TRUE(read("[0,0,0,0]").ids.empty());
  const auto error = [&](const std::string& mask) {
    return error_of(reader(), R"({"input_ids":[1,2,3,0],"attention_mask":)" + mask + "}");
  };
  EXPECT_THAT(error("[1,0,1,1]"), HasSubstr("'attention_mask' has 0 as number 2, between ones"));
  EXPECT_THAT(error("[1,1,1]"), HasSubstr("'attention_mask' has 3 numbers, 'input_ids' 4"));
  EXPECT_THAT(error("[1,1,1,2]"), HasSubstr("'attention_mask' has 2, but it is of 0 and 1"));
}

TEST_F(Rows, ATurnOfWeightZeroIsNotLearned) {
  put("tokenizer.json", kTokenizer);
  const auto row = [](const std::string& first, const std::string& second) {
    return R"({"messages":[{"role":"b","content":"d"},{"role":"assistant","content":"a")" + first +
           R"(},{"role":"b","content":"d"},{"role":"assistant","content":"c")" + second + "}]}";
  };
  put("chat_template.jinja", "{% for m in messages %}{{ m.content }}<e>{% endfor %}");
  const auto learned = [&](const std::string& first, const std::string& second) {
    return reader(true).read(row(first, second)).in_loss;
  };
  using Marks = std::vector<bool>;
  const std::string zero = R"(,"weight":0)";
  const std::string one = R"(,"weight":1)";
  EXPECT_EQ(learned("", one), (Marks{false, false, true, true, false, false, true, true}));
  EXPECT_EQ(learned(zero, one), (Marks{false, false, false, false, false, false, true, true}));
  EXPECT_EQ(learned(one, zero), (Marks{false, false, true, true, false, false, false, false}));
  EXPECT_THAT(error_of(reader(true), row(R"(,"weight":0.5)", "")),
              HasSubstr("message 2 has the 'weight' 0.5, but it is 0 or 1"));
  EXPECT_THAT(error_of(reader(true), row(R"(,"weight":"0")", "")), HasSubstr("'weight' \"0\""));
  EXPECT_THAT(error_of(reader(false), row(zero, "")),
              AllOf(HasSubstr("message 2 has the 'weight' 0"), HasSubstr("--mask-prompt")));
}

// Each key was looked for among all before it.
TEST_F(Rows, OfObjectsWithManyKeysAreReadInLinearTime) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja", "c");
  std::string keys;
  for (int i = 0; i < 10'000; ++i) keys += fmt::format(R"({}"k{}":0)", i == 0 ? "" : ",", i);
  std::string tools;
  for (int i = 0; i < 8; ++i) tools += (i == 0 ? "{" : ",{") + keys + "}";
  const auto begin = std::chrono::steady_clock::now();
  const std::string row = R"({"messages":[{"role":"user","content":"d"}],"tools":[)" + tools + "]}";
  EXPECT_EQ(reader().read(row).ids, (std::vector<std::int32_t>{2}));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
  EXPECT_THAT(error_of(reader(), R"({"messages":[{"role":"user","content":"d","x":{"a":1,"b":2,)"
                                 R"("a":3}}]})"),
              HasSubstr("key 'a' stands twice"));
}

TEST_F(Rows, NestedTooDeepAreToldTheDepth) {
  EXPECT_THAT(error_of(reader(), R"({"input_ids":[1,2],"other":)" + std::string(100, '[') +
                                     std::string(100, ']') + "}"),
              HasSubstr("nested deeper than 64 levels"));
}

TEST_F(Rows, ATemplateThatOnlySpeaksOfTheDateDoesNotAskForIt) {
  put("tokenizer.json", kTokenizer);
  for (const char* silent : {"{# strftime_now #}a", "strftime_now", "{{ 'strftime_now' }}"}) {
    put("chat_template.jinja", silent);
    EXPECT_FALSE(reader().asks_for_date()) << silent;
  }
  for (const char* asking :
       {"{{ strftime_now('%d') }}", "{% if strftime_now is defined %}a{% endif %}"}) {
    put("chat_template.jinja", asking);
    EXPECT_TRUE(reader().asks_for_date()) << asking;
  }
}

TEST_F(Rows, ABrokenTemplateIsAnErrorOnlyForConversations) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja", "{% if %}");
  EXPECT_EQ(reader().read(R"({"text":"a"})").ids, (std::vector<std::int32_t>{0}));
  EXPECT_THAT(error_of(reader(), R"({"messages":[{"role":"user","content":"d"}]})"),
              HasSubstr("chat_template.jinja"));
}

// Else they would be trained as the plain text that they are where a model has no template.
TEST_F(Rows, ABrokenTemplateIsAnErrorForPromptsAndInstructionsToo) {
  put("tokenizer.json", kTokenizer);
  put("tokenizer_config.json", R"({"chat_template":"a{% include 'x' %}"})");
  EXPECT_THAT(error_of(reader(), R"({"prompt":"a","completion":"b"})"), HasSubstr("include"));
  EXPECT_THAT(error_of(reader(), R"({"instruction":"a","output":"b"})"), HasSubstr("include"));
}

TEST_F(Rows, AnEmptyFileOfTheModelIsNotAMissingOne) {
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                           "chat_template.jinja"}) {
    put(name, "");
    try {
      (void)reader();
      FAIL() << name << " was taken for missing";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr(std::string(name) + ": is empty"));
    }
    std::filesystem::remove(folder_.path() / name);
  }
}

TEST_F(Rows, MaskingSurvivesATemplateThatRendersOldTurnsDifferently) {
  put("tokenizer.json", kTokenizer);
  // The last message gets an "e" before its content, as thinking templates do.
  put("chat_template.jinja",
      "{% for m in messages %}<|im_start|>{% if loop.last and m.role == 'assistant' %}e{% endif %}"
      "{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}");
  const TokenizedRow row = reader(true).read(
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"cd"},
          {"role":"user","content":"b"},{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 0, 8, 7, 2, 3, 8, 7, 1, 8, 7, 4, 3, 8}));
  EXPECT_EQ(row.in_loss, (std::vector<bool>{false, false, false, false, true, true, true, false,
                                            false, false, false, true, true, true}));
}

// The usual call has no content, and thinking templates render it otherwise when more follows.
TEST_F(Rows, MaskingFindsACallWithoutContentThatIsRenderedDifferentlyLater) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja",
      "{% for m in messages %}<|im_start|>{% if loop.last and m.role == 'assistant' %}e{% endif %}"
      "{{ m.content or '' }}{% for c in m.tool_calls or [] %}"
      "b{% for k, v in c.function.arguments | items %}{{ k ~ v }}{% endfor %}d{% endfor %}"
      "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}");
  const auto in_loss = [&](const std::string& said) {
    const TokenizedRow row = reader(true).read(
        R"({"messages":[{"role":"user","content":"a"},{"role":"assistant",)" + said +
        R"(},{"role":"tool","content":"b"},{"role":"assistant","content":"d"}]})");
    std::vector<std::int32_t> learned;
    for (std::size_t i = 0; i < row.ids.size(); ++i) {
      if (row.in_loss[i]) learned.push_back(row.ids[i]);
    }
    return learned;
  };
  EXPECT_EQ(in_loss(R"("content":"","tool_calls":[{"function":{"arguments":{"a":"c"}}}])"),
            (std::vector<std::int32_t>{1, 0, 2, 3, 8, 4, 3, 8}));
  EXPECT_EQ(in_loss(R"("content":null,"tool_calls":[{"function":{"arguments":{}}}])"),
            (std::vector<std::int32_t>{1, 3, 8, 4, 3, 8}));
  EXPECT_EQ(in_loss(R"("content":"c","tool_calls":[{"function":{"arguments":{"e":"a"}}},)"
                    R"({"function":{"arguments":{"b":"c"}}}])"),
            (std::vector<std::int32_t>{2, 1, 4, 0, 3, 1, 1, 2, 3, 8, 4, 3, 8}));
}

// Phi's templates write the end of text where no answer is asked for, so after each turn's prefix.
TEST_F(Rows, MaskingKeepsWhatEndsAnAnswerWhereTheTemplateEndsTheText) {
  put("tokenizer.json", kTokenizer);
  put("tokenizer_config.json", R"({"eos_token":"<e>"})");
  put("chat_template.jinja",
      "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>{% else %}{{ eos_token }}{% endif %}");
  const TokenizedRow row = reader(true).read(
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":""},
          {"role":"user","content":"b"},{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 0, 8, 7, 8, 7, 1, 8, 7, 3, 8, 6}));
  EXPECT_EQ(row.in_loss, (std::vector<bool>{false, false, false, false, true, false, false, false,
                                            false, true, true, true}));
}

// A template that passes over calls says nothing in such a turn but its end.
TEST_F(Rows, MaskingTakesACallThatTheTemplateDoesNotShow) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja",
      "{% for m in messages %}<|im_start|>{{ m.content }}{{ 'e' if loop.last }}<|im_end|>"
      "{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}");
  const TokenizedRow row = reader(true).read(
      R"({"messages":[{"role":"user","content":"a"},
          {"role":"assistant","content":"","tool_calls":[{"function":{"arguments":{"x":"c"}}}]},
          {"role":"user","content":"b"},{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 0, 8, 7, 8, 7, 1, 8, 7, 3, 4, 8}));
  EXPECT_TRUE(row.in_loss[9]);
  EXPECT_FALSE(row.in_loss[6]);
}

// Mistral's templates put tools and system before the last question, so that the first question is
// not in the whole text as it was when it was the last: it is still no answer.
TEST_F(Rows, MaskingFindsAnAnswerWhoseQuestionIsRenderedDifferentlyLater) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja",
      "{% for m in messages %}{% if m.role == 'user' %}{% if loop.last %}e{% endif %}"
      "<|im_start|>{{ m.content }}<|im_end|>{% else %}{{ m.content }}<e>{% endif %}{% endfor %}");
  const TokenizedRow row = reader(true).read(
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"cd"},
          {"role":"user","content":"b"},{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 0, 8, 2, 3, 6, 7, 1, 8, 3, 6}));
  EXPECT_EQ(row.in_loss, (std::vector<bool>{false, false, false, true, true, true, false, false,
                                            false, true, true}));
}

TEST_F(Rows, MaskingLeavesOutTheHeaderOfAnAnswerThatComesFirst) {
  put("tokenizer.json", kTokenizer);
  const auto learned = [&] {
    const TokenizedRow row = reader(true).read(
        R"({"messages":[{"role":"assistant","content":"cd"},{"role":"user","content":"b"}]})");
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < row.ids.size(); ++i) {
      if (row.in_loss[i]) ids.push_back(row.ids[i]);
    }
    return ids;
  };
  EXPECT_EQ(learned(), (std::vector<std::int32_t>{2, 3, 8, 9})) << "ChatML";
  // Nothing opens an answer here.
  put("chat_template.jinja",
      "<e>{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}");
  EXPECT_EQ(learned(), (std::vector<std::int32_t>{2, 3, 8}));
}

TEST_F(Rows, AMaskedPromptOfMessagesHasNoTurnThatIsLearned) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja",
      "{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>{% endif %}");
  const TokenizedRow row = reader(true).read(
      R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"cd"},
          {"role":"user","content":"b"}],"completion":[{"role":"assistant","content":"d"}]})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{7, 0, 8, 7, 2, 3, 8, 7, 1, 8, 7, 3, 8}));
  std::vector<bool> completion(13, false);
  completion[11] = completion[12] = true;
  EXPECT_EQ(row.in_loss, completion);
}

TEST_F(Rows, MaskingTakesConversationsOfABoundedLength) {
  put("tokenizer.json", kTokenizer);
  const auto conversation = [](int messages) {
    std::string row = R"({"messages":[)";
    for (int i = 0; i < messages; ++i) {
      row += i == 0 ? "" : ",";
      row += i == 1 ? R"({"role":"assistant","content":"b"})" : R"({"role":"user","content":"a"})";
    }
    return row + "]}";
  };
  const std::vector<bool> in_loss = reader(true).read(conversation(4000)).in_loss;
  EXPECT_EQ(std::count(in_loss.begin(), in_loss.end(), true), 3);  // b<|im_end|>\n
  EXPECT_THAT(error_of(reader(true), conversation(4001)),
              HasSubstr("4001 messages, but 4000 are the most with --mask-prompt"));
  EXPECT_GT(reader().read(conversation(4001)).ids.size(), 4001U);
}

// ShareGPT's roles and the like: a template writes any role, so that all of it would be learned.
TEST_F(Rows, WithoutAMessageOfTheAssistantAreCountedWithTheirRoles) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}");
  const std::string foreign =
      R"({"messages":[{"role":"human","content":"a"},{"role":"gpt","content":"cd"}]})";
  const std::string good =
      R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"cd"}]})";
  put("d.jsonl", foreign + "\n" + good + "\n" + foreign + "\n");
  const auto pack = [&](bool mask_prompt) {
    return pack_rows(folder_.path() / "d.jsonl", reader(mask_prompt), folder_.path() / "p",
                     nullptr);
  };
  const PackReport report = pack(false);
  EXPECT_EQ(report.rows, 3);
  EXPECT_EQ(report.without_assistant, 2);
  EXPECT_EQ(report.other_roles, "human, gpt");
  EXPECT_EQ(report_of(PackedRows(folder_.path() / "p")).without_assistant, 2)
      << "the rows that are found packed are told of too";
  const PackReport masked = pack(true);
  EXPECT_EQ(masked.rows, 1);
  EXPECT_EQ(masked.without_assistant, 2);
  put("d.jsonl", foreign + "\n");
  try {
    pack(true);
    FAIL() << "a row without an answer was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("no message of 1 row has the role assistant; its roles are human, gpt"));
    EXPECT_THAT(error.what(), HasSubstr("rename them to user and assistant"));
  }
}

TEST_F(Rows, OfShareGptsFormAreToldHowToBecomeMessages) {
  EXPECT_THAT(error_of(reader(), R"({"conversations":[{"from":"human","value":"a"}]})"),
              HasSubstr("'conversations' (from, value): make it 'messages' (role, content)"));
}

TEST_F(Rows, WhoseContentTheTemplateCannotRenderNameTheMessage) {
  put("tokenizer.json", kTokenizer);
  put("chat_template.jinja",
      "{% for m in messages %}{{ 'e' + m.content }}{{ 1 + m.n }}{% endfor %}");
  const auto error = [&](const std::string& content, const std::string& n) {
    return error_of(reader(), R"({"messages":[{"role":"user","content":"a","n":1},)"
                              R"({"role":"assistant","tool_calls":[],"content":)" +
                                  content + R"(,"n":)" + n + "}]}");
  };
  EXPECT_THAT(error(R"([{"type":"text","text":"a"}])", "1"),
              ::testing::AllOf(HasSubstr("unsupported operand"),
                               HasSubstr("message 2 (assistant) has a list as its content, which "
                                         "this model's chat template cannot render")));
  EXPECT_THAT(error("null", "1"), HasSubstr("message 2 (assistant) has null as its content"));
  EXPECT_THAT(error(R"("a")", "[]"), ::testing::Not(HasSubstr("as its content")));
  EXPECT_THAT(error("null", "[]"), ::testing::Not(HasSubstr("as its content")))
      << "it is not what is wrong";
}

TEST_F(Rows, FilesWithBomCrlfAndBlankLinesArePacked) {
  put("d.jsonl",
      "\xEF\xBB\xBF{\"input_ids\":[1,2]}\r\n\r\n  \n{\"input_ids\":[3]}\n{\"input_ids\":[4,5,6]}");
  std::int64_t called = 0;
  const PackReport report = pack_rows(folder_.path() / "d.jsonl", reader(), folder_.path() / "p",
                                      [&](std::int64_t) { ++called; });
  EXPECT_EQ(report.rows, 2);
  EXPECT_EQ(report.too_short, 1);
  EXPECT_EQ(report.tokens, 5);
  EXPECT_EQ(report.longest, 3);
  EXPECT_GE(called, 2);
  const PackedRows rows(folder_.path() / "p");
  EXPECT_EQ(rows.row(1).ids[2], 6);
  EXPECT_EQ(report_of(rows).too_short, 1) << "what was left out is known later too";
  EXPECT_EQ(report_of(rows).longest, 3);
}

TEST_F(Rows, BadLinesAreCountedAndTheFirstFiveNamed) {
  std::string lines = "{\"input_ids\":[1,2]}\n";
  for (int i = 0; i < 7; ++i) lines += "\n{\"input_ids\":[99,1]}\n";
  put("d.jsonl", lines);
  const auto pack = [&](BadRows bad) {
    return pack_rows(folder_.path() / "d.jsonl", reader(), folder_.path() / "p", nullptr, bad);
  };
  try {
    pack(BadRows::kRefuse);
    FAIL() << "bad lines were taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("d.jsonl:3: 'input_ids' has 99"));
    EXPECT_THAT(error.what(), HasSubstr("d.jsonl:11: "));
    EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("d.jsonl:13: ")));
    EXPECT_THAT(error.what(), HasSubstr("7 lines are bad, 1 is good"));
  }
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "p"));
  const PackReport report = pack(BadRows::kSkip);
  EXPECT_EQ(report.bad, 7);
  EXPECT_EQ(report.first_bad.size(), 5U);
  EXPECT_EQ(PackedRows(folder_.path() / "p").size(), 1);
  EXPECT_EQ(PackedRows(folder_.path() / "p").bad(), 7);
}

TEST_F(Rows, AMissingTokenizerIsNoBadLine) {
  put("d.jsonl", "{\"text\":\"a\"}\n");
  for (const BadRows bad : {BadRows::kRefuse, BadRows::kSkip}) {
    try {
      pack_rows(folder_.path() / "d.jsonl", reader(), folder_.path() / "p", nullptr, bad);
      ADD_FAILURE() << "packed without a tokenizer";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("needs a tokenizer.json"));
      EXPECT_THAT(error.what(), HasSubstr("d.jsonl:1: "));
      EXPECT_THAT(error.what(), ::testing::Not(HasSubstr("bad")));
    }
  }
}

TEST_F(Rows, FilesWithoutARowAreRefused) {
  for (const std::string content : {"", "\n\r\n", "{\"input_ids\":[1]}\n"}) {
    put("d.jsonl", content);
    EXPECT_THROW(pack_rows(folder_.path() / "d.jsonl", reader(), folder_.path() / "p", nullptr),
                 Error);
  }
  EXPECT_THROW(pack_rows(folder_.path() / "no.jsonl", reader(), folder_.path() / "p", nullptr),
               Error);
  EXPECT_THROW(pack_rows(folder_.path(), reader(), folder_.path() / "p", nullptr), Error);
}

TEST_F(Rows, LinesThatSpanPiecesAreReadWhole) {
  std::string content;
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 6; ++i) {
    expected.emplace_back((std::size_t{1} << 19) + i * 99'991, static_cast<char>('a' + i));
    content += expected.back() + "\n";
  }
  put("d.jsonl", content);
  LineReader lines(folder_.path() / "d.jsonl");
  std::string_view line;
  for (const std::string& wanted : expected) {
    ASSERT_TRUE(lines.next(line));
    EXPECT_EQ(line, wanted);
  }
  EXPECT_FALSE(lines.next(line));
  EXPECT_EQ(lines.content_hash(), ContentHash::of_file(folder_.path() / "d.jsonl"));
}

TEST_F(Rows, ALineAboveTheLimitIsRefusedWithItsNumber) {
  put("d.jsonl", "{}\n" + std::string(LineReader::kLongestLine + (2 << 20), 'a'));
  LineReader lines(folder_.path() / "d.jsonl");
  std::string_view line;
  ASSERT_TRUE(lines.next(line));
  try {
    lines.next(line);
    FAIL() << "a line of " << line.size() << " bytes was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("d.jsonl:2: a line of more than 64 MiB"));
  }
}

TEST_F(Rows, DataIsAFileOrAFolderWithTrainJsonl) {
  EXPECT_THROW(resolve_data(folder_.path()), Error);
  EXPECT_THROW(resolve_data(folder_.path() / "no"), Error);
  put("train.jsonl", "");
  put("valid.jsonl", "");
  const DataFiles files = resolve_data(folder_.path());
  EXPECT_EQ(files.train, folder_.path() / "train.jsonl");
  EXPECT_EQ(files.valid, folder_.path() / "valid.jsonl");
  EXPECT_FALSE(files.test);
  EXPECT_EQ(resolve_data(folder_.path() / "train.jsonl").valid, files.valid);
  put("other.jsonl", "");
  EXPECT_FALSE(resolve_data(folder_.path() / "other.jsonl").valid);
}

TEST_F(Rows, DataMayBeCompressed) {
  put("train.jsonl.gz", "");
  put("valid.jsonl.zst", "");
  put("test.jsonl.gz", "");
  const DataFiles files = resolve_data(folder_.path());
  EXPECT_EQ(files.train, folder_.path() / "train.jsonl.gz");
  EXPECT_EQ(files.valid, folder_.path() / "valid.jsonl.zst");
  EXPECT_EQ(files.test, folder_.path() / "test.jsonl.gz");
  put("train.jsonl", "");
  try {
    (void)resolve_data(folder_.path());
    FAIL() << "one of two train splits was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("which one is meant?"));
  }
}

TEST_F(Rows, OfInstructionAndOutputAreAnExchange) {
  put("tokenizer.json", kTokenizer);
  put("tokenizer_config.json",
      R"({"chat_template":"{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}"})");
  const auto ids = [&](std::string_view line) { return reader().read(line).ids; };
  EXPECT_EQ(ids(R"({"instruction":"a","input":"b","output":"c"})"),
            (std::vector<std::int32_t>{7, 0, 9, 9, 1, 8, 7, 2, 8}));
  const std::vector<std::int32_t> without_input{7, 0, 8, 7, 2, 8};
  EXPECT_EQ(ids(R"({"instruction":"a","input":"","output":"c","text":"d"})"), without_input);
  EXPECT_EQ(ids(R"({"instruction":"a","output":"c"})"), without_input);
  EXPECT_EQ(ids(R"({"text":"d","instruction":"a"})"), (std::vector<std::int32_t>{3}));
  EXPECT_THAT(error_of(reader(), R"({"instruction":"a","output":7})"), HasSubstr("'output'"));
  EXPECT_THAT(error_of(reader(), R"({"instruction":"a"})"), HasSubstr("none of the forms"));
}

}  // namespace
}  // namespace loadline
