#include "jinja/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string render(const std::string& source, const Json& variables = Json::object()) {
  return ChatTemplate(source, "tokenizer_config.json").render(variables);
}

std::string failure(const std::string& source, const Json& variables = Json::object()) {
  try {
    return "rendered: " + render(source, variables).substr(0, 100);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
}

std::string repeated(const std::string& piece, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += piece;
  return out;
}

TEST(ChatTemplate, ChatMlIsRendered) {
  const Json variables = Json::parse(R"({
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
    "add_generation_prompt": true})");
  EXPECT_EQ(render("{% for m in messages %}\n{{ '<|im_start|>' + m.role + '\\n' + m['content'] + "
                   "'<|im_end|>\\n' }}\n{% endfor %}\n{% if add_generation_prompt %}\n"
                   "{{ '<|im_start|>assistant\\n' }}{% endif %}",
                   variables),
            "<|im_start|>user\nHi<|im_end|>\n\n<|im_start|>assistant\nHello<|im_end|>\n\n"
            "<|im_start|>assistant\n");
}

TEST(ChatTemplate, RoundingKnowsTheSmallestNumbersAndTheLargest) {
  EXPECT_EQ(render("{{ 1e-310|round(320) }}"), "1e-310");
  EXPECT_EQ(render("{{ 1e-310|round(3) }}"), "0.0");
  EXPECT_EQ(render("{{ 1.7e308|round(3) }}"), "1.7e+308");
  EXPECT_THAT(failure("{{ 1.7e308|round(-308) }}"), HasSubstr("too large"));
}

TEST(ChatTemplate, NoIntegerBeyond128BitsIsAWrongOne) {
  EXPECT_EQ(render("{{ 170141183460469231731687303715884105727|round(-2) }}"),
            "170141183460469231731687303715884105700");
  EXPECT_THAT(failure("{{ 170141183460469231731687303715884105727|round(-1) }}"),
              HasSubstr("128 bits"));
  EXPECT_EQ(render("{{ range(0, 9 * 10**18, 9 * 10**18)[::2] }}"),
            "range(0, 9000000000000000000, 18000000000000000000)");
  EXPECT_EQ(render("{{ range(10)[::3] }} {{ range(10)[::-3] }}"),
            "range(0, 10, 3) range(9, -1, -3)");
  EXPECT_THAT(failure("{{ range(0, 9 * 10**18, 9 * 10**18)[::2**99] }}"), HasSubstr("128 bits"));
}

TEST(ChatTemplate, OneTemplateRendersManyTimesWithoutMemory) {
  const ChatTemplate chat("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + x %}{{ ns.n }}", "t");
  EXPECT_EQ(chat.render({{"x", 1}}), "1");
  EXPECT_EQ(chat.render({{"x", 2}}), "2");
}

TEST(ChatTemplate, RaiseExceptionGivesItsMessageWithSourceAndLine) {
  EXPECT_EQ(
      failure("a\n{% if true %}\n{{ raise_exception('Roles must ' ~ 'alternate') }}\n{% endif %}"),
      "tokenizer_config.json: chat template line 3: Roles must alternate");
}

TEST(ChatTemplate, ASyntaxErrorNamesItsLine) {
  EXPECT_EQ(failure("a\n\n{% for x messages %}"),
            "tokenizer_config.json: chat template line 3: 'messages' stands where 'in' should");
  EXPECT_THAT(failure("{% if a %}"), HasSubstr("the template ends without 'endif'"));
  EXPECT_THAT(failure("{{ 'a"), HasSubstr("has no end"));
}

TEST(ChatTemplate, WhatIsNotSupportedIsNamed) {
  EXPECT_THAT(failure("{% include 'x' %}"), HasSubstr("the tag 'include' is unknown"));
  EXPECT_THAT(failure("{{ x | shuffle }}"), HasSubstr("no filter named 'shuffle'"));
  EXPECT_THAT(failure("{{ x is prime }}"), HasSubstr("no test named 'prime'"));
}

TEST(ChatTemplate, UndefinedOperationsNameWhatIsUndefined) {
  EXPECT_THAT(failure("{{ tools.name }}"), HasSubstr("'tools' is undefined"));
  EXPECT_THAT(failure("{{ m.x.y }}", {{"m", Json::object()}}),
              HasSubstr("'dict object' has no attribute 'x'"));
  EXPECT_EQ(render("{{ tools }}{{ m.x }}", {{"m", Json::object()}}), "");
}

TEST(ChatTemplate, AListOrDictCannotBeChanged) {
  EXPECT_THAT(failure("{{ [1].append(2) }}"), HasSubstr("must not change a list: 'append'"));
  EXPECT_THAT(failure("{{ {}.update({}) }}"), HasSubstr("must not change a dict"));
}

TEST(ChatTemplate, BytesThatAreNotUtf8AreRefused) {
  EXPECT_THAT(failure("a \xff b"), HasSubstr("not UTF-8"));
  EXPECT_THAT(failure("{{ '\\ud800' }}"), HasSubstr("no Unicode character"));
}

TEST(ChatTemplate, LoopsWithoutEndStopInBoundedTime) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(
      failure("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
      HasSubstr("steps"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(ChatTemplate, RecursionStopsBeforeTheStackDoes) {
  EXPECT_THAT(failure("{% macro f(x) %}{{ f([x]) }}{% endmacro %}{{ f(1) }}"),
              HasSubstr("deeper than"));
  EXPECT_THAT(
      failure("{% macro f() %}{% if 1 %}{% for i in [1] %}{{ '' ~ (f() | upper) }}{% endfor %}"
              "{% endif %}{% endmacro %}{{ f() }}"),
      HasSubstr("deeper than"));
}

TEST(ChatTemplate, DeepNestingIsRefusedByTheParser) {
  const std::vector<std::pair<std::string, std::string>> pieces = {
      {"(", ")"}, {"[", "]"},  {"{1:", "}"}, {"not ", ""},
      {"-", ""},  {"f(", ")"}, {"x[", "]"},  {"1 if 1 else ", ""}};
  for (const auto& [open, close] : pieces) {
    EXPECT_THAT(failure("{{ " + repeated(open, 50'000) + "1" + repeated(close, 50'000) + " }}"),
                HasSubstr("nested deeper than"))
        << open;
  }
  EXPECT_THAT(failure("{{ 1" + repeated(" + 1", 50'000) + " }}"), HasSubstr("levels"));
  EXPECT_THAT(failure("{{ x" + repeated(".x", 100'000) + " }}"), HasSubstr("levels"));
  EXPECT_THAT(failure("{{ x" + repeated("|trim", 100'000) + " }}"), HasSubstr("levels"));
  EXPECT_THAT(failure(repeated("{% if 1 %}", 10'000)), HasSubstr("nested deeper than"));
  EXPECT_THAT(failure(repeated("{% for (((((a in b %}", 10'000)), HasSubstr("line 1"));
}

TEST(ChatTemplate, ValuesThatGrowWithoutEndAreRefused) {
  EXPECT_THAT(failure("{{ 'a' * 99999999999 }}"), HasSubstr("longer than"));
  EXPECT_THAT(
      failure("{% set ns = namespace(s='ab') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}"
              "{% endfor %}"),
      HasSubstr("longer than"));
  EXPECT_THAT(
      failure("{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}"
              "{% endfor %}"),
      HasSubstr("the template "));
  EXPECT_THAT(
      failure("{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}"
              "{% endfor %}"),
      HasSubstr("nested deeper than"));
  EXPECT_THAT(failure("{% for i in range(99999) %}{{ 'xxxxxxxx' * 999 }}{% endfor %}"),
              HasSubstr("longer than"));
  EXPECT_THAT(failure("{{ '%9999999d' % 1 }}"), HasSubstr("too large"));
  EXPECT_THAT(failure("{{ 2 ** 127 }}"), HasSubstr("128 bits"));
}

TEST(ChatTemplate, ValuesSharedAThousandfoldArePaidFor) {
  const std::string doubled =
      "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% "
      "endfor %}";
  EXPECT_THAT(failure(doubled + "{{ ns.l }}"), AllOf(HasSubstr("chat template line 1")));
  EXPECT_THAT(failure(doubled + "{{ ns.l | tojson }}"), HasSubstr("chat template line 1"));
  EXPECT_THAT(failure("{% set a = namespace(l=[1]) %}{% set b = namespace(l=[1]) %}{% for i in "
                      "range(60) %}{% set a.l = [a.l, a.l] %}{% set b.l = [b.l, b.l] %}{% endfor %}"
                      "{{ a.l == b.l }}"),
              HasSubstr("steps"));
}

TEST(ChatTemplate, ANamespaceMayHoldItself) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns.me.me is defined }}"),
            "True");
  EXPECT_THAT(failure("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}"),
              HasSubstr("holds itself"));
}

TEST(ChatTemplate, AMacroMadeInALoopOutlivesIt) {
  EXPECT_EQ(
      render("{% set ns = namespace() %}{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}"
             "{% set ns.m = m %}{% endfor %}{{ ns.m() }}"),
      "2");
}

TEST(ChatTemplate, ALoopThatIsOverCannotBeCalledAgain) {
  EXPECT_THAT(failure("{% set ns = namespace() %}{% with %}{% for i in [1] recursive %}"
                      "{% set ns.l = loop %}{% endfor %}{% endwith %}{{ ns.l([2]) }}"),
              HasSubstr("after its loop"));
  EXPECT_EQ(render("{% for i in [1, 2] %}{{ loop.changed([loop]) }}{% endfor %}"), "TrueFalse");
}

TEST(ChatTemplate, StrftimeNowWritesThisYear) {
  const std::string year = render("{{ strftime_now('%Y') }}");
  EXPECT_EQ(year.size(), 4U);
  EXPECT_GE(std::stoi(year), 2024);
}

}  // namespace
}  // namespace loadline
