#include "kernels/rope.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

constexpr std::int64_t kHeadDim = 10;
constexpr std::int64_t kHalf = kHeadDim / 2;

struct Tables {
  std::vector<float> cos, sin;
};

Tables tables(std::int64_t positions) {
  Tables made;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < kHalf; ++i) {
      const double angle = static_cast<double>(p) * std::pow(100.0, -static_cast<double>(i) / 5);
      made.cos.push_back(static_cast<float>(std::cos(angle)));
      made.sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return made;
}

std::vector<std::int32_t> positions(std::int64_t tokens) {
  std::vector<std::int32_t> made;
  for (std::int64_t t = 0; t < tokens; ++t) made.push_back(static_cast<std::int32_t>(t % 37));
  return made;
}

// sign 1 turns forward, -1 back: multiplication of the complex number a + i b by cos + i sin.
Matrix turned(const Matrix& x, const Tables& table, double sign) {
  Matrix y(x.rows(), x.cols());
  for (std::int64_t t = 0; t < x.rows(); ++t) {
    for (std::int64_t head = 0; head < x.cols(); head += kHeadDim) {
      for (std::int64_t i = 0; i < kHalf; ++i) {
        const auto at = static_cast<std::size_t>(t % 37 * kHalf + i);
        const double c = static_cast<double>(table.cos[at]);
        const double s = sign * static_cast<double>(table.sin[at]);
        const double a = x.get(t, head + i);
        const double b = x.get(t, head + i + kHalf);
        y.set(t, head + i, a * c - b * s);
        y.set(t, head + i + kHalf, a * s + b * c);
      }
    }
  }
  return y;
}

class RopeTest : public testing::TestWithParam<DType> {};

TEST_P(RopeTest, ForwardTurnsEachPairByItsAngle) {
  Matrix x = Matrix::random(600, 3 * kHeadDim, 1, GetParam(), 3);
  const auto table = tables(37);
  const Matrix wanted = turned(x, table, 1);
  rope_forward(x.view(), {kHeadDim, kHeadDim}, positions(600), table.cos, table.sin);
  EXPECT_LE(distance(x, wanted), tolerance(GetParam()));
  EXPECT_TRUE(x.gaps_untouched());
}

// The map is linear, so its gradient is its transpose: <y, R x> = <R^T y, x>.
TEST_P(RopeTest, BackwardIsTheTransposeOfForward) {
  Matrix dx = Matrix::random(50, 2 * kHeadDim, 2, GetParam(), 1);
  const auto table = tables(37);
  const Matrix wanted = turned(dx, table, -1);
  rope_backward(dx.view(), {kHeadDim, kHeadDim}, positions(50), table.cos, table.sin);
  EXPECT_LE(distance(dx, wanted), tolerance(GetParam()));

  Matrix x = Matrix::random(50, 2 * kHeadDim, 3);
  Matrix y = Matrix::random(50, 2 * kHeadDim, 4);
  Matrix forward = x;
  Matrix backward = y;
  rope_forward(forward.view(), {kHeadDim, kHeadDim}, positions(50), table.cos, table.sin);
  rope_backward(backward.view(), {kHeadDim, kHeadDim}, positions(50), table.cos, table.sin);
  double left = 0;
  double right = 0;
  for (std::int64_t t = 0; t < 50; ++t) {
    for (std::int64_t i = 0; i < 2 * kHeadDim; ++i) {
      left += y.get(t, i) * forward.get(t, i);
      right += backward.get(t, i) * x.get(t, i);
    }
  }
  EXPECT_NEAR(left, right, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Types, RopeTest, testing::Values(DType::kF32, DType::kBf16));

TEST(PartialRopeTest, OnlyTheFirstElementsOfAHeadAreTurned) {
  constexpr std::int64_t kStride = kHeadDim + 3;
  Matrix x = Matrix::random(9, 2 * kStride, 1);
  const Matrix before = x;
  Matrix heads(9, 2 * kHeadDim);  // what is turned, without the rest
  for (std::int64_t t = 0; t < 9; ++t) {
    for (std::int64_t i = 0; i < kHeadDim; ++i) {
      for (std::int64_t h = 0; h < 2; ++h)
        heads.set(t, h * kHeadDim + i, x.get(t, h * kStride + i));
    }
  }
  const auto table = tables(37);
  const Matrix wanted = turned(heads, table, 1);
  rope_forward(x.view(), {kStride, kHeadDim}, positions(9), table.cos, table.sin);
  for (std::int64_t t = 0; t < 9; ++t) {
    for (std::int64_t i = 0; i < 2 * kStride; ++i) {
      const std::int64_t at = i % kStride;
      ASSERT_NEAR(x.get(t, i),
                  at < kHeadDim ? wanted.get(t, i / kStride * kHeadDim + at) : before.get(t, i),
                  1e-6);
    }
  }
  EXPECT_THROW(rope_forward(x.view(), {kStride, kStride}, positions(9), table.cos, table.sin),
               std::logic_error)
      << "an odd number cannot be turned";
}

TEST(RopeFailureTest, APositionBeyondTheTablesIsRefused) {
  Matrix x(1, kHeadDim);
  const auto table = tables(4);
  const std::vector<std::int32_t> beyond = {4};
  EXPECT_THROW(rope_forward(x.view(), {kHeadDim, kHeadDim}, beyond, table.cos, table.sin),
               std::logic_error);
}

}  // namespace
}  // namespace loadline
