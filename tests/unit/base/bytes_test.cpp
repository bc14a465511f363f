#include "base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace loadline {
namespace {

using ::testing::HasSubstr;

TEST(Bytes, AreReadInTheUnitsThatPeopleWrite) {
  EXPECT_EQ(parse_bytes("1048576"), 1_MiB);
  EXPECT_EQ(parse_bytes("20GiB"), 20_GiB);
  EXPECT_EQ(parse_bytes("20gb"), 20_GiB);
  EXPECT_EQ(parse_bytes("20 G"), 20_GiB);
  EXPECT_EQ(parse_bytes("1.5GiB"), 1536_MiB);
  EXPECT_EQ(parse_bytes("300M"), 300_MiB);
  EXPECT_EQ(parse_bytes("12kib"), 12_KiB);
  EXPECT_EQ(parse_bytes("2TiB"), Bytes{std::uint64_t{2} << 40});
  EXPECT_EQ(parse_bytes("17B"), 17_B);
  EXPECT_EQ(parse_bytes("0"), 0_B);
}

TEST(Bytes, RefuseAnythingElseAndSayWhatToWrite) {
  for (const char* text : {"", " ", "GiB", "-1GiB", "+1GiB", "1XiB", "1GiBs", "1 GiB 2", "nan",
                           "inf", "1e30", "2000000TiB", "0x10z", "1,5GiB", "ten"}) {
    try {
      parse_bytes(text);
      ADD_FAILURE() << "'" << text << "' was taken for an amount";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr("20GiB"));
    }
  }
}

TEST(Bytes, ASmallNumberWithoutAUnitIsRefusedWithTheUnitsItMayMean) {
  for (const char* text : {"20", "1", "512", "1048575"}) {
    try {
      parse_bytes(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_THAT(error.what(), HasSubstr(std::string(text) + "GiB"));
      EXPECT_THAT(error.what(), HasSubstr("has no unit"));
    }
  }
}

TEST(Bytes, ArePrintedInPowersOf1024) {
  EXPECT_EQ(to_string(0_B), "0 B");
  EXPECT_EQ(to_string(1023_B), "1023 B");
  EXPECT_EQ(to_string(12_KiB), "12.0 KiB");
  EXPECT_EQ(to_string(412_MiB), "412.0 MiB");
  EXPECT_EQ(to_string(6738_MiB), "6.58 GiB");
}

TEST(Bytes, ARemainderIsNeverNegative) {
  EXPECT_EQ(3_MiB - 1_MiB, 2_MiB);
  EXPECT_EQ(1_MiB - 3_MiB, 0_B);
}

TEST(Bytes, AdjustedAddsTheMargin) {
  EXPECT_EQ(adjusted(100_B, 0.15), 115_B);
  EXPECT_EQ(adjusted(14535_MiB, 0.15).count / (1 << 20), 16715U);
  EXPECT_EQ(adjusted(7_GiB, 0), 7_GiB);
}

}  // namespace
}  // namespace loadline
