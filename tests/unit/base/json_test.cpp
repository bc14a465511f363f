#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::string refusal(std::string_view text) {
  return message_of([&] { parse_json(text, "x.json"); });
}

std::string nested(int depth) {
  return std::string(static_cast<std::size_t>(depth), '[') +
         std::string(static_cast<std::size_t>(depth), ']');
}

TEST(Json, KeepsValuesTypesAndTheOrderOfKeys) {
  const char* text =
      R"({"z":1,"a":-2,"m":[1.5,true,null,"\u00e9\n"],"o":{"b":{},"a":[]},"u":18446744073709551615})";
  const Json json = parse_json(text, "x.json");
  EXPECT_EQ(json.dump(),
            "{\"z\":1,\"a\":-2,\"m\":[1.5,true,null,\"\u00e9\\n\"],\"o\":{\"b\":{},"
            "\"a\":[]},\"u\":18446744073709551615}");
  EXPECT_TRUE(json["z"].is_number_unsigned());
  EXPECT_TRUE(json["a"].is_number_integer());
  EXPECT_EQ(json, Json::parse(text));
}

TEST(Json, ScalarsAreDocumentsToo) {
  EXPECT_EQ(parse_json("3", "x"), 3);
  EXPECT_EQ(parse_json(" \"a\" ", "x"), "a");
  EXPECT_TRUE(parse_json("null", "x").is_null());
}

TEST(Json, RefusesMalformedTextWithThePlace) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "{'a':1}", "nul", "1 2", "[1]x",
                           "\"\xff\"", "{\"a\" 1}", "[NaN]", "// comment\n1", "\"\\ud800\""}) {
    EXPECT_THAT(refusal(text), AllOf(HasSubstr("x.json"), HasSubstr("at byte"))) << text;
  }
  EXPECT_THAT(refusal("[1, 2, x]"), HasSubstr("byte 8"));
}

TEST(Json, SaysLineColumnAndWhatWasExpectedWithoutTheLibrarysPrefix) {
  const std::string message = refusal("{\"a\": 1,\n \"b\": x}");
  EXPECT_THAT(message, AllOf(HasSubstr("x.json: not valid JSON at byte 16 (line 2, column 7)"),
                             HasSubstr("last read: '\"b\": x'"),
                             ::testing::Not(HasSubstr("json.exception"))));
  EXPECT_THAT(refusal("1 2"), HasSubstr("expected end of input"));
  EXPECT_THAT(refusal("[1e999]"), ::testing::Not(HasSubstr("json.exception")));
}

TEST(Json, RefusesWhatFollowsAZeroByte) {
  EXPECT_THAT(refusal(std::string_view("{}\0{}", 5)), HasSubstr("byte 3"));
}

TEST(Json, RefusesANumberThatNoDoubleHolds) {
  EXPECT_THAT(refusal("[1e999]"), AllOf(HasSubstr("x.json"), HasSubstr("1e999")));
}

TEST(Json, NestsTo64LevelsAndNoDeeper) {
  EXPECT_NO_THROW(parse_json(nested(64), "x.json"));
  EXPECT_THAT(refusal(nested(65)), HasSubstr("64"));
  // Deep enough to end the stack of a parser that recurses.
  EXPECT_THAT(refusal(nested(1'000'000)), HasSubstr("64"));
  std::string objects;
  for (int i = 0; i < 65; ++i) objects += "{\"a\":";
  EXPECT_THAT(refusal(objects), HasSubstr("64"));
}

TEST(Json, RefusesAKeyThatStandsTwiceInOneObject) {
  EXPECT_THAT(refusal(R"({"a": 1, "b": 2, "a": 3})"), AllOf(HasSubstr("'a'"), HasSubstr("twice")));
  EXPECT_THAT(refusal(R"([{"x": {"a": 1, "\u0061": 3}}])"), HasSubstr("'a'"));
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}, "b": {"a": 2}, "c": [{"a": 1}, {"a": 2}]})", "x"));
}

TEST(Json, AnObjectOfManyKeysIsReadInReasonableTime) {
  std::string text = "{";
  for (int i = 0; i < 200'000; ++i) text += fmt::format("\"key number {}\":{},", i, i);
  text.back() = '}';
  // Quadratic insertion would take minutes here and the test's time limit would end it.
  EXPECT_EQ(parse_json(text, "x.json").size(), 200'000U);
}

TEST(Json, FilesAreNamedInErrors) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "bad.json";
  replace_file(path, "{");
  EXPECT_THAT(message_of([&] { read_json(path); }), HasSubstr(path.string()));
  EXPECT_THAT(message_of([&] { read_json(folder.path() / "missing.json"); }),
              HasSubstr("missing.json"));
  replace_file(path, "{\"a\": [1]}");
  EXPECT_EQ(read_json(path)["a"][0], 1);
}

TEST(JsonAccess, FindsNeitherAbsentNorNull) {
  const Json json = parse_json(R"({"a": 0, "n": null})", "x");
  EXPECT_NE(json_find(json, "a"), nullptr);
  EXPECT_EQ(json_find(json, "n"), nullptr);
  EXPECT_EQ(json_find(json, "b"), nullptr);
  EXPECT_EQ(json_find(Json(3), "a"), nullptr);
  EXPECT_EQ(json_find(Json::array({1}), "a"), nullptr);
}

TEST(JsonAccess, IsTyped) {
  const Json json = parse_json(R"({"i": -3, "d": 2.5, "s": "x", "b": true})", "x");
  EXPECT_EQ(json_int(json, "i", "x"), -3);
  EXPECT_EQ(json_number(json, "d", "x"), 2.5);
  EXPECT_EQ(json_number(json, "i", "x"), -3);
  EXPECT_EQ(json_string(json, "s", "x"), "x");
  EXPECT_TRUE(json_bool(json, "b", "x"));
}

TEST(JsonAccess, NamesSourceKeyAndBothTypes) {
  const Json json = parse_json(R"({"d": 2.5, "s": "x", "u": 9223372036854775808, "n": null})", "x");
  const auto refused = [&](auto function, const char* key) {
    return message_of([&] { function(json, key, "some.json"); });
  };
  EXPECT_THAT(refused(json_int, "d"), AllOf(HasSubstr("some.json"), HasSubstr("'d'"),
                                            HasSubstr("an integer"), HasSubstr("2.5")));
  EXPECT_THAT(refused(json_int, "u"), HasSubstr("9223372036854775808"));
  EXPECT_THAT(refused(json_number, "s"), AllOf(HasSubstr("a number"), HasSubstr("string")));
  EXPECT_THAT(refused(json_string, "d"), HasSubstr("a string"));
  EXPECT_THAT(refused(json_bool, "s"), HasSubstr("true or false"));
  EXPECT_THAT(refused(json_int, "n"), HasSubstr("'n' is missing"));
}

}  // namespace
}  // namespace loadline
