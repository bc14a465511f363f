#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "text/packed.h"
#include "text/rows.h"

namespace loadline {
namespace {

const std::filesystem::path kDemo = std::filesystem::path(LOADLINE_SOURCE_DIR) / "demo";

RowReader demo_reader(bool mask_prompt) {
  return {kDemo / "model", 2048, {.mask_prompt = mask_prompt}};
}

TEST(DemoRows, HaveTheReferenceNumbersOfTokens) {
  TemporaryFolder folder;
  const RowReader reader = demo_reader(false);
  const auto path = folder.path() / "valid.packed";
  const PackReport report = pack_rows(kDemo / "data/valid.jsonl", reader, path, nullptr);
  EXPECT_EQ(report.rows, 99);
  EXPECT_EQ(report.with_provenance, 99);
  EXPECT_EQ(report.tokens - report.rows, 13548);  // predictions
  EXPECT_EQ(report.too_short, 0);
  const PackedRows rows(path);
  const Json golden = read_json(kDemo / "golden.json");
  for (const Json& line : golden["losses"]) {
    EXPECT_EQ(rows.length(line["line"].get<std::int64_t>() - 1),
              line["tokens"].get<std::int64_t>());
  }
  EXPECT_EQ(rows.length(0), 259);
  EXPECT_EQ(rows.row(0).ids[0], 2046);  // <|im_start|>: no <s> before a chat
  EXPECT_EQ(rows.fingerprint(), packing_fingerprint(kDemo / "data/valid.jsonl", reader));
  EXPECT_EQ(report.longest, LengthHistogram(rows, 4096).longest());
}

TEST(DemoRows, TextBeginsWithTheTemplateAndEndsWithTheEndOfText) {
  const TokenizedRow row = demo_reader(false).read(R"({"text":"In the beginning"})");
  EXPECT_EQ(row.ids, (std::vector<std::int32_t>{1, 1271, 262, 1664, 1307, 2}));
  EXPECT_EQ(row.in_loss, std::vector<bool>(6, true));
  EXPECT_EQ(demo_reader(false).read(R"({"text":"In the beginning</s>"})").ids, row.ids);
}

TEST(DemoRows, PromptAndCompletionAreAConversation) {
  const RowReader reader = demo_reader(false);
  EXPECT_EQ(
      reader.read(R"({"prompt":"Who?","completion":"God"})").ids,
      reader
          .read(
              R"({"messages":[{"role":"user","content":"Who?"},{"role":"assistant","content":"God"}]})")
          .ids);
}

TEST(DemoRows, MaskedPromptLeavesTheAnswerAndItsEnd) {
  const RowReader reader = demo_reader(true);
  const TokenizedRow row =
      reader.read(R"({"prompt":"Define it.","completion":"In the beginning"})");
  ASSERT_EQ(row.in_loss.size(), row.ids.size());
  std::vector<std::int32_t> learned;
  for (std::size_t i = 0; i < row.ids.size(); ++i) {
    if (row.in_loss[i]) learned.push_back(row.ids[i]);
  }
  // The answer, <|im_end|> and the line's end; the header before it ends in a line's end too (13).
  EXPECT_EQ(reader.tokenizer()->decode(learned, false), "In the beginning<|im_end|>\n");
  EXPECT_EQ(row.in_loss, [&] {
    std::vector<bool> expected(row.ids.size(), false);
    std::fill(expected.end() - static_cast<std::ptrdiff_t>(learned.size()), expected.end(), true);
    return expected;
  }());
}

TEST(DemoRows, EachTurnOfTheAssistantIsLearnedAndNothingElse) {
  const RowReader reader = demo_reader(true);
  const TokenizedRow row = reader.read(
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"one"},
          {"role":"assistant","content":"first answer"},{"role":"user","content":"two"},
          {"role":"assistant","content":"second answer"},{"role":"user","content":"three"}]})");
  std::string learned;
  for (std::size_t i = 0; i < row.ids.size(); ++i) {
    if (row.in_loss[i]) learned += reader.tokenizer()->decode(std::span(&row.ids[i], 1), false);
  }
  EXPECT_EQ(learned, "first answer<|im_end|>\nsecond answer<|im_end|>\n");
}

TEST(DemoRows, EveryRowOfTheDemoCanBeMasked) {
  TemporaryFolder folder;
  const PackReport report = pack_rows(kDemo / "data/valid.jsonl", demo_reader(true),
                                      folder.path() / "masked.packed", nullptr);
  EXPECT_EQ(report.rows, 99);
  const PackedRows rows(folder.path() / "masked.packed");
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const auto marks = rows.row(i).in_loss;
    EXPECT_EQ(marks.front(), 0);
    EXPECT_EQ(marks.back(), 1);
  }
}

}  // namespace
}  // namespace loadline
