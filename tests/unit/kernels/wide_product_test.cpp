#include "kernels/wide_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

constexpr std::int64_t kOuter = 640;
constexpr std::int64_t kInner = 4096;

class WideProducts : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!bf16_is_supported()) GTEST_SKIP() << "no bf16 here";
    set_threads(2);
    lines_.resize(Gemm::scratch_bound(2).count / sizeof(Line) + 1);
    gemm_.use_scratch(std::as_writable_bytes(std::span(lines_)));
  }
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
  Gemm gemm_;
};

Matrix widened(Matrix matrix) {
  Matrix wide(matrix.rows(), matrix.cols());
  copy(matrix.view(), wide.view());
  return wide;
}

void expect_near(const Matrix& got, const Matrix& wanted, DType type) {
  const double rounding = type == DType::kBf16 ? 0.006 : 1e-5;
  double most = 0;
  for (std::int64_t r = 0; r < got.rows(); ++r) {
    for (std::int64_t c = 0; c < got.cols(); ++c) {
      const double tolerance = rounding * std::fabs(wanted.get(r, c)) + 1e-4;
      most = std::max(most, std::fabs(got.get(r, c) - wanted.get(r, c)) / tolerance);
    }
  }
  EXPECT_LE(most, 1);
}

TEST_P(WideProducts, AreThoseOfF32OverPanelsAndBlocksOfRows) {
  ASSERT_EQ(kOuter % wide_panel(kOuter, kInner), 128) << "a narrower last panel is part of this";
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{70}, kWideRows + 88}) {
    std::vector<float> x(static_cast<std::size_t>(std::min(tokens, kWideRows) * kInner));
    std::vector<float> panel(static_cast<std::size_t>(kInner * kOuter));
    std::vector<float> result(static_cast<std::size_t>(std::min(tokens, kWideRows) * kInner));
    const WideScratch scratch{x, panel, result};
    for (const Product product : {Product::kNT, Product::kNN}) {
      const bool forward = product == Product::kNT;
      Matrix weight = Matrix::random(forward ? kOuter : kInner, forward ? kInner : kOuter, 1,
                                     DType::kBf16, 0, 0.02);
      Matrix in = Matrix::random(tokens, kInner, 2, DType::kBf16, 3);
      for (const bool accumulate : {false, true}) {
        Matrix out = Matrix::random(tokens, kOuter, 3, GetParam(), 5);
        Matrix wanted = widened(out);
        gemm_.run(product, widened(in).view(), widened(weight).view(), wanted.view(), accumulate);
        wide_product(gemm_, product, in.view(), weight.view(), out.view(), accumulate, scratch);
        expect_near(out, wanted, GetParam());
        EXPECT_TRUE(out.gaps_untouched());
      }
    }
  }
}

TEST_P(WideProducts, CompileNothingForAnotherNumberOfTokens) {
  std::vector<float> x(static_cast<std::size_t>(kWideRows * 96));
  std::vector<float> panel(96 * 80);
  std::vector<float> result(static_cast<std::size_t>(kWideRows * 96));
  const WideScratch scratch{x, panel, result};
  Matrix weight = Matrix::random(80, 96, 1, DType::kBf16);
  const auto run = [&](std::int64_t tokens) {
    Matrix in = Matrix::random(tokens, 96, 2, DType::kBf16);
    Matrix out(tokens, 80, GetParam());
    wide_product(gemm_, Product::kNT, in.view(), weight.view(), out.view(), false, scratch);
  };
  run(2);
  const std::size_t compiled = gemm_.compiled();
  for (const std::int64_t tokens : {1, 3, 500, 512, 700}) run(tokens);
  EXPECT_EQ(gemm_.compiled(), compiled);
}

INSTANTIATE_TEST_SUITE_P(, WideProducts, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace loadline
