#include "kernels/wide_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"
#include "unit/kernels/quantized.h"

namespace loadline {
namespace {

// Narrower than a panel and wider; inner widths of one piece and of several; none a multiple of any
// block; the demo's.
constexpr std::pair<std::int64_t, std::int64_t> kWidths[] = {
    {640, 1088}, {129, 2055}, {20, 33}, {64, 64}, {1, 7}};

class WideProducts : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
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

struct Scratch {
  std::vector<float> x, panels;
  Scratch(std::int64_t tokens, std::int64_t inner)
      : x(static_cast<std::size_t>(std::min(tokens + kWideRowUnit, kWideRows) * inner)),
        panels(static_cast<std::size_t>(threads() * wide_panel_floats())) {}
  [[nodiscard]] WideScratch view() { return {x, panels}; }
};

TEST_P(WideProducts, AreThoseOfF32OverPanelsAndBlocksOfRows) {
  for (const auto& [outer, inner] : kWidths) {
    for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{70}, kWideRows + 88}) {
      Scratch scratch(tokens, inner);
      for (const Product product : {Product::kNT, Product::kNN}) {
        const bool forward = product == Product::kNT;
        Matrix weight = Matrix::random(forward ? outer : inner, forward ? inner : outer, 1,
                                       DType::kBf16, 0, 0.02);
        Matrix in = Matrix::random(tokens, inner, 2, DType::kBf16, 3);
        for (const bool accumulate : {false, true}) {
          Matrix out = Matrix::random(tokens, outer, 3, GetParam(), 5);
          Matrix wanted = widened(out);
          gemm_.run(product, widened(in).view(), widened(weight).view(), wanted.view(), accumulate);
          wide_product(product, in.view(), weight.view(), out.view(), accumulate, scratch.view());
          expect_near(out, wanted, GetParam());
          EXPECT_TRUE(out.gaps_untouched());
        }
      }
    }
  }
}

class WideProductsOverTokens : public WideProducts {};

TEST_P(WideProductsOverTokens, AreThoseOfF32) {
  for (const auto& [m, n] : {std::pair<int, int>{8, 200}, {700, 8}, {1, 1}, {65, 129}}) {
    for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{70}, kWideRows + 89}) {
      Scratch scratch(tokens, m);
      Matrix a = Matrix::random(tokens, m, 1, DType::kBf16, 2);
      Matrix b = Matrix::random(tokens, n, 2, DType::kBf16, 5);
      for (const bool accumulate : {false, true}) {
        Matrix out = Matrix::random(m, n, 3, DType::kF32, 1);
        Matrix wanted = widened(out);
        gemm_.run(Product::kTN, widened(a).view(), widened(b).view(), wanted.view(), accumulate);
        wide_product(Product::kTN, a.view(), b.view(), out.view(), accumulate, scratch.view());
        expect_near(out, wanted, DType::kF32);
        EXPECT_TRUE(out.gaps_untouched());
      }
    }
  }
}

TEST_P(WideProducts, OfNf4AreThoseOfTheDequantizedMatrix) {
  constexpr std::int64_t kTokens = 90;
  for (const auto& [outer, inner] : {std::pair<int, int>{192, 1088}, {64, 64}}) {
    Scratch scratch(kTokens, inner);
    for (const Product product : {Product::kNT, Product::kNN}) {
      const bool forward = product == Product::kNT;
      const Quantized weight = random_weights(forward ? outer : inner, forward ? inner : outer);
      Matrix dequantized = weight.dequantized(DType::kF32);
      Matrix in = Matrix::random(kTokens, inner, 2, DType::kBf16);
      Matrix out(kTokens, outer, GetParam());
      Matrix wanted(kTokens, outer);
      gemm_.run(product, widened(in).view(), dequantized.view(), wanted.view(), false);
      wide_product(product, in.view(), weight.view(), out.view(), false, scratch.view());
      expect_near(out, wanted, GetParam());
    }
  }
}

TEST_P(WideProducts, AreTheSameBitsWithAnyNumberOfThreads) {
  Matrix weight = Matrix::random(192, 1100, 1, DType::kBf16);
  Matrix in = Matrix::random(300, 1100, 2, DType::kBf16);
  std::vector<Matrix> results;
  for (const int team : {1, 2, 3}) {
    set_threads(team);
    Scratch scratch(300, 1100);
    results.emplace_back(300, 192, GetParam());
    wide_product(Product::kNT, in.view(), weight.view(), results.back().view(), false,
                 scratch.view());
  }
  set_threads(2);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

INSTANTIATE_TEST_SUITE_P(, WideProductsOverTokens, testing::Values(DType::kF32),
                         [](const auto& type) { return std::string(name_of(type.param)); });
INSTANTIATE_TEST_SUITE_P(, WideProducts, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace loadline
