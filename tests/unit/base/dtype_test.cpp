#include "base/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace loadline {
namespace {

TEST(DTypes, HaveSizesAndNames) {
  EXPECT_EQ(size_of(DType::kF32), 4U);
  EXPECT_EQ(size_of(DType::kBf16), 2U);
  EXPECT_EQ(size_of(DType::kF16), 2U);
  EXPECT_EQ(size_of(DType::kI64), 8U);
  EXPECT_EQ(size_of(DType::kI32), 4U);
  EXPECT_EQ(size_of(DType::kU8), 1U);
  EXPECT_EQ(name_of(DType::kBf16), "bf16");
  EXPECT_EQ(name_of(DType::kI64), "i64");
}

TEST(Bf16, EveryValueSurvivesTheWayToFloatAndBack) {
  for (unsigned bits = 0; bits <= 0xffffU; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = bf16_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(value)))) << bits;
    } else {
      ASSERT_EQ(float_to_bf16(value), half);
    }
  }
}

TEST(Bf16, RoundsToNearestAndTiesToEven) {
  // Around 1: neighbours are 1/128 apart.
  EXPECT_EQ(float_to_bf16(1.0F + 0x1p-9F), 0x3f80) << "a quarter of the way: down";
  EXPECT_EQ(float_to_bf16(1.0F + 0x1p-8F), 0x3f80) << "a tie: to the even 0x3f80";
  EXPECT_EQ(float_to_bf16(std::nextafter(1.0F + 0x1p-8F, 2.0F)), 0x3f81) << "just above the tie";
  EXPECT_EQ(float_to_bf16(1.0F + 3 * 0x1p-8F), 0x3f82) << "a tie: to the even 0x3f82";
  EXPECT_EQ(float_to_bf16(-(1.0F + 0x1p-8F)), 0xbf80);
}

TEST(Bf16, HandlesTheEdges) {
  EXPECT_EQ(float_to_bf16(0.0F), 0x0000);
  EXPECT_EQ(float_to_bf16(-0.0F), 0x8000);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::infinity()), 0x7f80);
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::max()), 0x7f80) << "rounds to infinity";
  EXPECT_EQ(float_to_bf16(std::numeric_limits<float>::denorm_min()), 0x0000);
}

TEST(Bf16, ANanWithAFractionInItsLowerHalfOnlyStaysANan) {
  const float low = std::bit_cast<float>(0x7f800001U);
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(low))));
  EXPECT_TRUE(std::isnan(bf16_to_float(float_to_bf16(std::bit_cast<float>(0xffffffffU)))));
}

}  // namespace
}  // namespace loadline
