#include "workload/cut_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;

// Rows of 10, 20, 30 and 100 tokens. The last one's tokens to predict stand behind its 90th.
class Cut : public ::testing::Test {
 protected:
  static TokenizedRow row_of(std::size_t length, std::size_t first_in_loss) {
    TokenizedRow row;
    row.ids.assign(length, 7);
    row.in_loss.assign(length, true);
    for (std::size_t i = 0; i < first_in_loss; ++i) row.in_loss[i] = false;
    return row;
  }
  PackedSplit split() {
    const auto path = folder_.path() / "rows.packed";
    PackedWriter writer(path, "f00d");
    for (const std::size_t length : {10, 20, 30}) writer.add(row_of(length, 0));
    writer.add(row_of(100, 90));
    writer.finish();
    const PackedRows rows(path);
    return {"train.jsonl", path, report_of(rows), rows};
  }
  // As a command has it that cuts to so many tokens.
  PackedSplit within(std::int64_t most) {
    PackedSplit cut = split();
    cut.rows = cut.rows.within(most);
    cut.report = report_of(cut.rows);
    return cut;
  }
  TemporaryFolder folder_;
};

TEST_F(Cut, LosesTheTokensBehindItAndAllOfTheRowsThatAreLeftOut) {
  for (const PackedSplit& rows : {split(), within(25)}) {
    const CutRows cut = cut_rows(rows, 25);
    EXPECT_EQ(cut.rows, 4);
    EXPECT_EQ(cut.longer, 2);
    EXPECT_EQ(cut.tokens, 160);
    EXPECT_EQ(cut.lost, 5 + 100);
  }
}

TEST_F(Cut, IsWarnedOfInRowsAndInItsShareOfTheTokens) {
  EXPECT_THAT(cut_warning(within(25), 25),
              HasSubstr("Warning: train.jsonl: 2 of 4 rows are longer than 25 tokens; cutting them "
                        "loses 65.6 % of all tokens."));
  EXPECT_EQ(cut_warning(split(), 100), "");
}

TEST_F(Cut, AShareThatIsNotNoneIsNotShownAsNone) {
  EXPECT_EQ(share_text(1, 10'000), "less than 0.1 %");
  EXPECT_EQ(share_text(0, 10'000), "0.0 %");
  EXPECT_EQ(share_text(0, 0), "0.0 %");
}

}  // namespace
}  // namespace loadline
