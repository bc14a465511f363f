#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

// Source type, target type. 70 x 301 is work for several threads, 2 x 3 for one.
class ElementwiseTest : public testing::TestWithParam<std::tuple<DType, DType>> {
 protected:
  static DType from() { return std::get<0>(GetParam()); }
  static DType to() { return std::get<1>(GetParam()); }

  Matrix source_ = Matrix::random(70, 301, 1, from(), 3);
  Matrix target_ = Matrix::random(70, 301, 2, to(), 2);
};

TEST_P(ElementwiseTest, CopyConverts) {
  copy(source_.view(), target_.view());
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) {
      const auto value = static_cast<float>(source_.get(t, i));
      const float wanted = to() == DType::kBf16 ? bf16_to_float(float_to_bf16(value)) : value;
      ASSERT_EQ(target_.get(t, i), static_cast<double>(wanted));
    }
  }
  EXPECT_TRUE(target_.gaps_untouched());
}

TEST_P(ElementwiseTest, AddAdds) {
  Matrix wanted(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) wanted.set(t, i, source_.get(t, i) + target_.get(t, i));
  }
  add(source_.view(), target_.view());
  EXPECT_LE(distance(target_, wanted), tolerance(to()));
  EXPECT_TRUE(target_.gaps_untouched());
}

TEST_P(ElementwiseTest, EmbeddingTakesTheNamedRows) {
  std::vector<std::int32_t> ids;
  for (int t = 0; t < 70; ++t) ids.push_back(t * 13 % 70);
  embedding_forward(source_.view(), ids, target_.view());
  Matrix wanted(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) wanted.set(t, i, source_.get(t * 13 % 70, i));
  }
  EXPECT_LE(distance(target_, wanted), tolerance(to()));
  EXPECT_TRUE(target_.gaps_untouched());
}

INSTANTIATE_TEST_SUITE_P(Types, ElementwiseTest,
                         testing::Combine(testing::Values(DType::kF32, DType::kBf16),
                                          testing::Values(DType::kF32, DType::kBf16)));

TEST(ConversionTest, EveryKindOfNumberIsRoundedAsTheScalarFunctionDoes) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<double> values = {0.0,
                                      -0.0,
                                      1.0,
                                      1.00390625,
                                      1.01171875,
                                      3.4e38,
                                      1e-40,
                                      -1e-45,
                                      1.17549e-38,
                                      65504.0,
                                      -2.5,
                                      static_cast<double>(infinity),
                                      static_cast<double>(-infinity)};
  Matrix x(1, static_cast<std::int64_t>(values.size()) + 1);
  for (std::size_t i = 0; i < values.size(); ++i) x.set(0, static_cast<std::int64_t>(i), values[i]);
  x.set(0, x.cols() - 1, std::numeric_limits<double>::quiet_NaN());
  Matrix y(1, x.cols(), DType::kBf16);
  copy(x.view(), y.view());
  for (std::int64_t i = 0; i + 1 < x.cols(); ++i) {
    const auto wanted = bf16_to_float(float_to_bf16(static_cast<float>(x.get(0, i))));
    EXPECT_EQ(y.get(0, i), static_cast<double>(wanted));
  }
  EXPECT_TRUE(std::isnan(y.get(0, x.cols() - 1)));
}

TEST(InPlaceTest, BiasScaleAndZeroChangeEveryRowAndNothingElse) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    Matrix x = Matrix::random(5, 33, 1, dtype, 3);
    Matrix wanted(5, 33);
    std::vector<float> bias(33);
    for (std::size_t i = 0; i < 33; ++i) bias[i] = static_cast<float>(i) - 16;
    for (std::int64_t t = 0; t < 5; ++t) {
      for (std::int64_t i = 0; i < 33; ++i) {
        wanted.set(t, i, (x.get(t, i) + static_cast<double>(i - 16)) * 0.25);
      }
    }
    add_bias(bias, x.view());
    scale(0.25F, x.view());
    EXPECT_LE(distance(x, wanted), tolerance(dtype));
    set_zero(x.view());
    EXPECT_EQ(distance(x, Matrix(5, 33)), 0);
    EXPECT_TRUE(x.gaps_untouched());
  }
}

TEST(InPlaceTest, SoftcapSquashesAndShiftMoves) {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    Matrix x = Matrix::random(5, 33, 1, dtype, 3, 4);
    Matrix wanted(5, 33);
    for (std::int64_t t = 0; t < 5; ++t) {
      for (std::int64_t i = 0; i < 33; ++i) wanted.set(t, i, 3 * std::tanh(x.get(t, i) / 3) + 1);
    }
    softcap(3, x.view());
    shift(1, x.view());
    EXPECT_LE(distance(x, wanted), tolerance(dtype));
    EXPECT_TRUE(x.gaps_untouched());
  }
}

TEST(ElementwiseFailureTest, WrongShapesAndTypesAreRefused) {
  Matrix x(2, 3);
  Matrix wide(2, 4);
  EXPECT_THROW(copy(x.view(), wide.view()), std::logic_error);
  EXPECT_THROW(add(x.view(), wide.view()), std::logic_error);
  EXPECT_THROW(add_bias(std::vector<float>(2), x.view()), std::logic_error);
  View integers = x.view();
  integers.dtype = DType::kI32;
  EXPECT_THROW(scale(2, integers), std::logic_error);
}

}  // namespace
}  // namespace loadline
