// Every template of chat_expressions.jsonl and chat_conversations.jsonl, made with Jinja2 by
// tests/golden/make_chat_golden.py, renders to the same bytes, or fails where Jinja2 fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "jinja/chat_template.h"

namespace loadline {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(LOADLINE_SOURCE_DIR) / "tests" / "golden" / "text";

struct Rendered {
  std::optional<std::string> text;
  std::string failure;
};

Rendered render(const std::string& source, const Json& variables) {
  try {
    return {ChatTemplate(source, "golden").render(variables), ""};
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return {std::nullopt, error.what()};
  }
}

void expect_same(const Json& row, const std::string& source, const Json& variables) {
  SCOPED_TRACE(source + "\n" + row.dump());
  const Rendered made = render(source, variables);
  if (row.contains("text")) {
    ASSERT_TRUE(made.text.has_value()) << made.failure;
    EXPECT_EQ(*made.text, row["text"].get<std::string>());
  } else {
    EXPECT_FALSE(made.text.has_value()) << "rendered to: " << made.text.value_or("");
    if (row["fails"].is_string()) {
      EXPECT_THAT(made.failure, testing::HasSubstr(row["fails"].get<std::string>()));
    }
  }
}

std::vector<Json> rows_of(const std::string& name) {
  std::ifstream file(kFolder / name);
  std::vector<Json> rows;
  for (std::string line; std::getline(file, line);) rows.push_back(parse_json(line, name));
  return rows;
}

TEST(ChatGolden, ExpressionsAndStatementsRenderAsJinja2DoesThem) {
  const Json variables = read_json(kFolder / "chat_variables.json");
  const std::vector<Json> rows = rows_of("chat_expressions.jsonl");
  ASSERT_GE(rows.size(), 900U);
  for (const Json& row : rows) expect_same(row, row["template"].get<std::string>(), variables);
}

TEST(ChatGolden, ConversationsRenderAsJinja2DoesThem) {
  const Json cases = read_json(kFolder / "chat_cases.json");
  const std::vector<Json> rows = rows_of("chat_conversations.jsonl");
  ASSERT_GE(rows.size(), 250U);
  for (const Json& row : rows) {
    const std::string name = row["template"].get<std::string>();
    expect_same(row, read_file(kFolder / "chat_templates" / name, 1_MiB),
                cases.at(row["case"].get<std::size_t>()));
  }
}

}  // namespace
}  // namespace loadline
