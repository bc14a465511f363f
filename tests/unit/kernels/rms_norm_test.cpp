#include "kernels/rms_norm.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

constexpr double kEps = 1e-3;

std::vector<float> weights(std::int64_t count) {
  std::vector<float> made;
  for (std::int64_t i = 0; i < count; ++i) made.push_back(0.5F + 0.03F * static_cast<float>(i));
  return made;
}

// In double; element (t, i) of y for the row x.
double normalized(const std::vector<double>& x, const std::vector<float>& weight, std::size_t i) {
  double squares = 0;
  for (const double value : x) squares += value * value;
  return x[i] / std::sqrt(squares / static_cast<double>(x.size()) + kEps) *
         static_cast<double>(weight[i]);
}

std::vector<double> row_of(const Matrix& x, std::int64_t t) {
  std::vector<double> row;
  for (std::int64_t i = 0; i < x.cols(); ++i) row.push_back(x.get(t, i));
  return row;
}

struct Types {
  DType x, y;
};

class RmsNormTest : public testing::TestWithParam<Types> {};

TEST_P(RmsNormTest, ForwardDividesByTheRootMeanSquareAndScales) {
  for (const float factor : {1.0F, 0.3F}) {
    for (const std::int64_t h : {1, 5, 64, 333}) {
      Matrix x = Matrix::random(60, h, 1, GetParam().x, 3);
      Matrix y(60, h, GetParam().y, 2);
      const auto weight = weights(h);
      std::vector<float> rstd(60);
      rms_norm_forward(x.view(), weight, static_cast<float>(kEps), y.view(), rstd, factor);
      for (std::int64_t t = 0; t < 60; ++t) {
        const auto row = row_of(x, t);
        for (std::int64_t i = 0; i < h; ++i) {
          const double wanted = factor * normalized(row, weight, static_cast<std::size_t>(i));
          ASSERT_NEAR(y.get(t, i), wanted, tolerance(GetParam().y) * (1 + std::abs(wanted)));
        }
      }
      EXPECT_TRUE(y.gaps_untouched());
    }
  }
}

// The slope of factor * dy . y in element i of row t.
double slope_at(const Matrix& x, const Matrix& dy, const std::vector<float>& weight, float factor,
                std::int64_t t, std::size_t i) {
  constexpr double kStep = 1e-5;
  double slope = 0;
  for (const double sign : {1.0, -1.0}) {
    auto row = row_of(x, t);
    row[i] += sign * kStep;
    for (std::size_t j = 0; j < row.size(); ++j) {
      slope += sign * factor * dy.get(t, static_cast<std::int64_t>(j)) * normalized(row, weight, j);
    }
  }
  return slope / (2 * kStep);
}

TEST_P(RmsNormTest, BackwardAddsTheFiniteDifferenceOfTheDefinition) {
  constexpr std::int64_t kRows = 7;
  constexpr std::int64_t kSize = 19;
  for (const float factor : {1.0F, 0.3F}) {
    Matrix x = Matrix::random(kRows, kSize, 1, GetParam().x, 3);
    Matrix y(kRows, kSize, GetParam().y);
    Matrix dy = Matrix::random(kRows, kSize, 2, GetParam().y, 1);
    Matrix dx = Matrix::random(kRows, kSize, 3, GetParam().x, 4);
    const Matrix before = dx;
    const auto weight = weights(kSize);
    std::vector<float> rstd(kRows);
    rms_norm_forward(x.view(), weight, static_cast<float>(kEps), y.view(), rstd, factor);
    rms_norm_backward(dy.view(), x.view(), weight, rstd, dx.view(), factor);
    for (std::int64_t t = 0; t < kRows; ++t) {
      for (std::size_t i = 0; i < kSize; ++i) {
        const auto column = static_cast<std::int64_t>(i);
        const double wanted = before.get(t, column) + slope_at(x, dy, weight, factor, t, i);
        ASSERT_NEAR(dx.get(t, column), wanted, tolerance(GetParam().x) * (1 + std::abs(wanted)));
      }
    }
    EXPECT_TRUE(dx.gaps_untouched());
  }
}

// A head's norm is the norm of a row of one head: (T, heads x HD) read as (T x heads, HD).
TEST(RmsNormOfHeadsTest, BackwardInPlaceIsTheFiniteDifferenceOfTheDefinition) {
  constexpr std::int64_t kHeads = 3;
  constexpr std::int64_t kSize = 12;
  constexpr double kStep = 1e-5;
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    Matrix x = Matrix::random(4, kHeads * kSize, 1, dtype);
    Matrix y(4, kHeads * kSize, dtype);
    Matrix dy = Matrix::random(4, kHeads * kSize, 2, dtype);
    const Matrix before = dy;
    const auto heads = [&](Matrix& m) {
      return View{m.view().data, dtype, 4 * kHeads, kSize, kSize};
    };
    const auto weight = weights(kSize);
    std::vector<float> rstd(4 * kHeads);
    rms_norm_forward(heads(x), weight, static_cast<float>(kEps), heads(y), rstd);
    rms_norm_backward_in_place(heads(dy), heads(x), weight, rstd);
    for (std::int64_t t = 0; t < 4; ++t) {
      for (std::int64_t column = 0; column < kHeads * kSize; ++column) {
        const std::int64_t first = column / kSize * kSize;
        std::vector<double> head;
        for (std::int64_t j = 0; j < kSize; ++j) head.push_back(x.get(t, first + j));
        double slope = 0;
        for (const double sign : {1.0, -1.0}) {
          auto moved = head;
          moved[static_cast<std::size_t>(column - first)] += sign * kStep;
          for (std::size_t j = 0; j < kSize; ++j) {
            slope += sign * before.get(t, first + static_cast<std::int64_t>(j)) *
                     normalized(moved, weight, j);
          }
        }
        const double wanted = slope / (2 * kStep);
        ASSERT_NEAR(dy.get(t, column), wanted, tolerance(dtype) * (1 + std::abs(wanted)));
        if (column % kSize == 0) continue;
        ASSERT_NEAR(y.get(t, column),
                    normalized(head, weight, static_cast<std::size_t>(column - first)),
                    tolerance(dtype) * 4);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, RmsNormTest,
                         testing::Values(Types{DType::kF32, DType::kF32},
                                         Types{DType::kBf16, DType::kBf16},
                                         Types{DType::kF32, DType::kBf16}));

TEST(RmsNormFailureTest, WrongSizesAreRefused) {
  Matrix x(2, 3);
  Matrix y(2, 3);
  std::vector<float> weight(4);
  std::vector<float> rstd(2);
  EXPECT_THROW(rms_norm_forward(x.view(), weight, 0, y.view(), rstd), std::logic_error);
  weight.resize(3);
  rstd.resize(1);
  EXPECT_THROW(rms_norm_forward(x.view(), weight, 0, y.view(), rstd), std::logic_error);
}

}  // namespace
}  // namespace loadline
