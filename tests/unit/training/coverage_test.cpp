#include "training/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "training_fixture.h"

namespace loadline {
namespace {

using testing::HasSubstr;
using testing::Not;

class CoverageTest : public TrainingRun {
 protected:
  TrainingSettings of_lengths(const std::vector<std::int64_t>& lengths, std::int64_t batch_size) {
    TrainingSettings s = settings("adapter");
    write_packed(s.train_rows, rows_of_lengths(lengths));
    s.batch_size = batch_size;
    s.max_seq_length = 16;
    s.order = RowOrder::kWorstFirst;
    return s;
  }
  static Coverage met(const TrainingSettings& s, std::int64_t longest, std::int64_t largest) {
    const PackedRows rows(s.train_rows);
    CoverageMeter meter(rows, s);
    meter.met(longest, largest);
    return meter.coverage();
  }
};

TEST_F(CoverageTest, OnlyTheLargestBatchThatTheDataCanMakeCoversAll) {
  const TrainingSettings s = of_lengths({4, 12, 6, 8, 2, 10}, 2);  // 12 + 10 is the most
  EXPECT_TRUE(met(s, 12, 22).is_all());
  EXPECT_FALSE(met(s, 12, 21).is_all());
  EXPECT_FALSE(met(s, 10, 22).is_all());
  EXPECT_EQ(describe(met(s, 12, 22)),
            "covers 100 % of batches, longest row 12 tokens, largest batch 22 tokens");
  EXPECT_EQ(describe(met(s, 12, 21)),
            "does not cover all batches, longest row 12 tokens, largest batch 21 of 22 tokens");
}

TEST_F(CoverageTest, RowsThatAreCutAndDataThatIsTooShortAreSaid) {
  EXPECT_THAT(describe(met(of_lengths({4, 40, 6}, 2), 16, 22)),
              AllOf(HasSubstr("covers 100 %"), HasSubstr("1 of 3 rows were cut to 16 tokens"),
                    Not(HasSubstr("repeat"))));
  EXPECT_THAT(describe(met(of_lengths({4, 5, 6}, 8), 6, 43)),
              HasSubstr("the data has 3 rows, fewer than the batch of 8: rows repeat in it"));
}

TEST_F(CoverageTest, ATrialThatRanMeasuresWhatItMet) {
  TrainingSettings s = of_lengths({4, 12, 6, 8, 2, 10, 9}, 2);
  s.max_steps = 2;
  EXPECT_THAT(run(s).end.coverage,
              "covers 100 % of batches, longest row 12 tokens, largest batch 22 tokens");
  s.order = RowOrder::kFile;  // training itself promises nothing
  s.adapter_path = folder_.path() / "other";
  EXPECT_EQ(run(s).end.coverage, "");
}

// Rows are looked at through a mapping; they must not make the process larger with every step.
TEST_F(CoverageTest, PagesThatWereReadAreForgotten) {
  const TrainingSettings s =
      of_lengths(std::vector<std::int64_t>(20'000, 100), 1);  // some 10 MiB of ids and marks
  const PackedRows rows(s.train_rows);
  const auto resident_file = [] {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word && word != "RssFile:") {
    }
    long kib = 0;
    status >> kib;
    return kib;
  };
  const long before = resident_file();
  std::int64_t sum = 0;
  for (std::int64_t i = 0; i < rows.size(); ++i) sum += rows.row(i).ids[0];
  EXPECT_GT(sum, 0);
  EXPECT_GT(resident_file(), before + 8000);
  rows.forget_pages();
  EXPECT_LT(resident_file(), before + 2000);
  EXPECT_EQ(rows.row(777).ids.size(), 100U);
}

}  // namespace
}  // namespace loadline
