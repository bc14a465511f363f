#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <numeric>

#include "base/error.h"
#include "text/packed.h"
#include "text/packed_layout.h"

namespace loadline {
namespace {

TokenizedRow row_of(std::int32_t first, std::size_t length) {
  TokenizedRow row;
  row.ids.resize(length);
  std::iota(row.ids.begin(), row.ids.end(), first);
  row.in_loss.assign(length, true);
  return row;
}

class PackedFile : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path path_ = folder_.path() / "rows.packed";

  // Three rows of 2, 7 and 1,000 ids; the second has a provenance and a masked beginning.
  std::string write_three() {
    PackedWriter writer(path_, "f00d");
    writer.add(row_of(5, 2));
    TokenizedRow second = row_of(100, 7);
    second.in_loss[0] = second.in_loss[1] = false;
    second.provenance = Provenance{.authority_weight = 0.25F, .provenance_entropy = 6.5F};
    writer.add(second);
    writer.add(row_of(0, 1000));
    writer.finish();
    return read_file(path_, 1_MiB);
  }
  void write_raw(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
  }
};

// Opens the file and asks for every row, as training would.
void read_all(const std::filesystem::path& path) {
  const PackedRows rows(path);
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    const PackedRow row = rows.row(i);
    ASSERT_EQ(row.ids.size(), row.in_loss.size());
    for (const std::int32_t id : row.ids) ASSERT_LE(id, rows.largest_id());
  }
}

TEST_F(PackedFile, GivesBackWhatWasWritten) {
  write_three();
  const PackedRows rows(path_);
  ASSERT_EQ(rows.size(), 3);
  EXPECT_EQ(rows.fingerprint(), "f00d");
  EXPECT_EQ(rows.tokens(), 1009);
  EXPECT_EQ(rows.largest_id(), 999);
  EXPECT_EQ(rows.length(0), 2);
  EXPECT_EQ(rows.length(1), 7);
  EXPECT_EQ(rows.length(2), 1000);
  const PackedRow second = rows.row(1);
  EXPECT_EQ(std::vector<std::int32_t>(second.ids.begin(), second.ids.end()), row_of(100, 7).ids);
  EXPECT_EQ(std::vector<int>(second.in_loss.begin(), second.in_loss.end()),
            (std::vector<int>{0, 0, 1, 1, 1, 1, 1}));
  EXPECT_TRUE(second.has_provenance);
  EXPECT_EQ(second.provenance.authority_weight, 0.25F);
  EXPECT_EQ(second.provenance.provenance_entropy, 6.5F);
  EXPECT_FALSE(rows.row(2).has_provenance);
  EXPECT_EQ(rows.with_provenance(), 1);
  EXPECT_EQ(rows.in_loss(), 1007);
  EXPECT_EQ(rows.row(2).ids[999], 999);
}

TEST_F(PackedFile, RowsWhoseTargetsAreAllCutAwayAreLeftOut) {
  PackedWriter writer(path_, "f00d");
  for (const std::size_t masked : {0, 6, 4}) {
    TokenizedRow row = row_of(static_cast<std::int32_t>(100 * masked), 9);
    std::fill_n(row.in_loss.begin(), masked, false);
    if (masked == 6) row.provenance = Provenance{};
    writer.add(row);
  }
  writer.finish();
  const PackedRows all(path_);
  const PackedRows rows = all.within(5);
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows.row(1).ids[0], 400);
  EXPECT_EQ(rows.tokens(), 18);
  EXPECT_EQ(rows.in_loss(), 14);
  EXPECT_EQ(rows.in_loss_within(5), 6);
  EXPECT_EQ(rows.with_provenance(), 0);
  EXPECT_EQ(report_of(rows).cut_away, 1);
  EXPECT_THROW((void)rows.row(2), Error);
  EXPECT_EQ(rows.within(4).size(), 1);
  EXPECT_EQ(rows.within(4).cut_away(), 2);
  EXPECT_EQ(all.within(7).size(), 3);
  EXPECT_EQ(all.row(1).ids[0], 600) << "the rows that were cut are still there";
}

TEST_F(PackedFile, WhereNoTokenIsMaskedNoRowIsLeftOut) {
  PackedWriter writer(path_, "f00d");
  writer.add(row_of(0, 9));
  writer.finish();
  EXPECT_EQ(PackedRows(path_).within(2).size(), 1);
  EXPECT_EQ(PackedRows(path_).in_loss_within(2), 2);
}

TEST_F(PackedFile, LengthsFallIntoClassesOfEqualWidth) {
  write_three();
  const std::vector<LengthClass> classes = length_classes(LengthHistogram(PackedRows(path_), 25));
  ASSERT_EQ(classes.size(), 9U);
  EXPECT_EQ(classes[0].rows, 1);  // 1 to 3
  EXPECT_EQ(classes[2].rows, 1);  // 7 to 9
  EXPECT_EQ(classes[8].from, 25);
  EXPECT_EQ(classes[8].to, 25);
  EXPECT_EQ(classes[8].rows, 1);
}

TEST_F(PackedFile, IsNotThereBeforeFinish) {
  {
    PackedWriter writer(path_, "");
    writer.add(row_of(0, 10));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(PackedFile, WithoutRowsIsRefusedAndLeavesNothing) {
  {
    PackedWriter writer(path_, "");
    EXPECT_THROW(writer.finish(), Error);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(PackedFile, RefusesRowsThatCannotBeTrainedOn) {
  PackedWriter writer(path_, "");
  EXPECT_THROW(writer.add(row_of(0, 1)), Error);
  EXPECT_THROW(writer.add(row_of(-1, 5)), Error);
  TokenizedRow unequal = row_of(0, 5);
  unequal.in_loss.pop_back();
  EXPECT_THROW(writer.add(unequal), Error);
  EXPECT_THROW(writer.set_fingerprint(std::string(65, 'a')), Error);
}

TEST_F(PackedFile, EveryTruncationIsRefused) {
  const std::string whole = write_three();
  for (std::size_t size = 0; size < whole.size(); size += size < 256 ? 1 : 61) {
    write_raw(whole.substr(0, size));
    EXPECT_THROW(PackedRows{path_}, Error) << size;
  }
  write_raw(whole + std::string(8, '\0'));
  EXPECT_THROW(PackedRows{path_}, Error);
}

TEST_F(PackedFile, EveryDamagedHeaderOrTableByteIsRefusedOrHarmless) {
  const std::string whole = write_three();
  const auto table = packed::load<packed::Header>(std::as_bytes(std::span(whole)), 0).table;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const bool in_rows = at >= sizeof(packed::Header) && at < table;
    if (in_rows && at % 97 != 0) continue;
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      write_raw(damaged);
      try {
        read_all(path_);
        EXPECT_LT(at, table) << "a changed row table was taken";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      }
    }
  }
}

TEST_F(PackedFile, ARowWithAnIdAboveTheLargestIsRefusedWhenItIsRead) {
  std::string bytes = write_three();
  const std::int32_t huge = 1'000'000;
  std::memcpy(bytes.data() + sizeof(packed::Header) + sizeof(packed::RowHead), &huge, 4);
  write_raw(bytes);
  const PackedRows rows(path_);
  EXPECT_THROW((void)rows.row(0), Error);
  EXPECT_NO_THROW((void)rows.row(1));
  EXPECT_THROW((void)rows.row(3), Error);
  EXPECT_THROW((void)rows.row(-1), Error);
}

TEST_F(PackedFile, TheSizeOfARowTellsHowManyIdsItHas) {
  for (std::uint64_t ids = 0; ids < 5000; ++ids) {
    ASSERT_EQ(packed::ids_of_row_bytes(packed::row_bytes(ids)), ids);
  }
}

TEST_F(PackedFile, HistogramIsOfTheLengthsAsTheyAreCut) {
  PackedWriter writer(path_, "");
  for (const std::size_t length : {4, 10, 2, 8, 6}) writer.add(row_of(0, length));
  writer.finish();
  const PackedRows rows(path_);
  const LengthHistogram lengths(rows, 8);
  EXPECT_EQ(lengths.rows(), 5);
  EXPECT_EQ(lengths.longest(), 8);
  EXPECT_EQ(lengths.truncated_rows(), 1);
  EXPECT_EQ(lengths.total_tokens(), 28);
  EXPECT_EQ(std::vector<std::int64_t>(lengths.descending().begin(), lengths.descending().end()),
            (std::vector<std::int64_t>{8, 8, 6, 4, 2}));
  EXPECT_EQ(lengths.percentile(0), 2);
  EXPECT_EQ(lengths.percentile(0.5), 6);
  EXPECT_EQ(lengths.percentile(0.81), 8);
  EXPECT_EQ(lengths.percentile(1), 8);
  EXPECT_THROW((void)lengths.percentile(1.5), Error);
  EXPECT_THROW(LengthHistogram(rows, 1), Error);
}

}  // namespace
}  // namespace loadline
