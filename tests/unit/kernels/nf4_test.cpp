#include "kernels/nf4.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/nf4_product.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"
#include "unit/kernels/quantized.h"

namespace loadline {
namespace {

TEST(Nf4, AWeightIsKeptWithinHalfTheLargestGapOfItsBlock) {
  const Matrix source = Matrix::random(24, 192, 5);
  const Quantized weights(24, 192, values_of(source));
  const Matrix kept = weights.dequantized(DType::kF32);
  for (std::int64_t r = 0; r < 24; ++r) {
    for (std::int64_t c = 0; c < 192; ++c) {
      double absmax = 0;
      for (std::int64_t i = c / 64 * 64; i < c / 64 * 64 + 64; ++i) {
        absmax = std::max(absmax, std::fabs(source.get(r, i)));
      }
      // The largest gap of the code book is 0.304; the absmax itself has 8 bits.
      EXPECT_NEAR(kept.get(r, c), source.get(r, c), absmax * 0.16) << r << ", " << c;
    }
  }
}

TEST(Nf4, ABf16PanelIsTheF32PanelRoundedAndAnyPartIsThatPart) {
  const Quantized weights = random_weights(40, 256);
  const Matrix all = weights.dequantized(DType::kF32);
  Matrix panel(7, 128, DType::kBf16, 3);
  nf4_dequantize(weights.view().slice(5, 20), 4, 64, panel.view());
  for (std::int64_t r = 0; r < 7; ++r) {
    for (std::int64_t c = 0; c < 128; ++c) {
      const auto exact = static_cast<float>(all.get(9 + r, 64 + c));
      EXPECT_EQ(static_cast<float>(panel.get(r, c)), bf16_to_float(float_to_bf16(exact)));
    }
  }
  EXPECT_TRUE(panel.gaps_untouched());
}

TEST(Nf4, ABlockOfZerosStaysNearZero) {
  std::vector<float> values(128, 0.0F);
  values[100] = 1.0F;
  const Quantized weights(1, 128, values);
  const Matrix kept = weights.dequantized(DType::kF32);
  for (std::int64_t c = 0; c < 64; ++c) EXPECT_EQ(kept.get(0, c), 0.0);
  EXPECT_NEAR(kept.get(0, 100), 1.0, 0.01);
}

TEST(Nf4, AValueThatIsNotFiniteIsToldOf) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    std::vector<std::byte> bytes(nf4_bytes(1, 64).count);
    std::vector<float> absmax(1);
    Nf4Quantizer quantizer(bytes, 1, 64, absmax);
    std::vector<float> values(64, 0.5F);
    values[33] = bad;
    EXPECT_FALSE(quantizer.add(0, values));
  }
}

TEST(Nf4, WidthsThatAreNoMultipleOf64AreRefused) {
  std::vector<std::byte> bytes(1024);
  std::vector<float> absmax(2);
  EXPECT_THROW(Nf4Quantizer(bytes, 2, 63, absmax), std::logic_error);
}

TEST(Nf4, PanelsOfOneWidthCoverAMatrixWhereTheyCan) {
  EXPECT_EQ(nf4_panel(576, 576), 576);     // small: all at once
  EXPECT_EQ(nf4_panel(14336, 4096), 512);  // 28 of them
  EXPECT_EQ(nf4_panel(4096, 14336), 256);  // the narrowest
  EXPECT_EQ(nf4_panel(4097, 14336), 256);  // with a smaller last one
  for (const std::int64_t outer : {5632, 11008, 8960, 4864}) {
    EXPECT_EQ(outer % nf4_panel(outer, 4096), 0) << outer;
  }
}

class Nf4Products : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    set_threads(2);
    scratch_.resize(Gemm::scratch_bound(2).count + 64);
    void* begin = scratch_.data();
    std::size_t space = scratch_.size();
    std::align(64, Gemm::scratch_bound(2).count, begin, space);
    gemm_.use_scratch({static_cast<std::byte*>(begin), space});
  }
  std::vector<std::byte> scratch_;
  Gemm gemm_{1000};  // panels, even where tiles could
};

TEST_P(Nf4Products, AreThoseOfTheDequantizedMatrixInBothDirections) {
  // Wide enough for several panels: 4096 inner weights make panels of 512.
  const DType dtype = GetParam();
  const std::int64_t tokens = 9;
  const Quantized weights = random_weights(1088, 4096);
  Matrix dense = weights.dequantized(dtype);
  ASSERT_LT(nf4_panel(1088, 4096), 1088);
  ASSERT_LT(nf4_panel(4096, 1088), 4096);
  std::vector<std::byte> panel(4096 * 1088 * 4);
  std::vector<std::byte> result(9 * 4096 * 4);
  const Nf4Scratch scratch{panel, result};
  for (const bool accumulate : {false, true}) {
    for (const Product product : {Product::kNT, Product::kNN}) {
      const std::int64_t in = product == Product::kNT ? 4096 : 1088;
      Matrix x = Matrix::random(tokens, in, 11, dtype);
      Matrix y = Matrix::random(tokens, 4096 + 1088 - in, 12, dtype);
      Matrix reference = y;
      gemm_.run(product, x.view(), dense.view(), reference.view(), accumulate);
      nf4_product(gemm_, product, x.view(), weights.view(), y.view(), accumulate, scratch);
      for (std::int64_t r = 0; r < tokens; ++r) {
        for (std::int64_t c = 0; c < y.cols(); ++c) {
          EXPECT_NEAR(y.get(r, c), reference.get(r, c),
                      0.01 * std::fabs(reference.get(r, c)) + 1e-3);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Nf4Products, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace loadline
