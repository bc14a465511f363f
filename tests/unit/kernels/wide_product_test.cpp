#include "kernels/wide_product.h"

#include <gtest/gtest.h>

#include <array>
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

// A linear layer with LoRA and its backward, in two stages each, against one product after the
// other.
struct Group {
  static constexpr std::int64_t kIn = 130, kOut = 200, kRank = 8;
  std::int64_t tokens;
  Matrix x = Matrix::random(tokens, kIn, 1, DType::kBf16, 3);
  Matrix dy = Matrix::random(tokens, kOut, 2, DType::kBf16);
  Matrix w = Matrix::random(kOut, kIn, 3, DType::kBf16, 1, 0.1);
  Matrix a = Matrix::random(kRank, kIn, 4, DType::kBf16, 0, 0.1);
  Matrix b = Matrix::random(kOut, kRank, 5, DType::kBf16, 2, 0.1);

  static WideTerm term(Product product, Matrix& x, Matrix& w) {
    return {.product = product, .x = x.view(), .w = w.view(), .quantized = {}};
  }
};

class WideProductsTogether : public WideProducts {
 protected:
  void add(Product product, const Matrix& x, const Matrix& w, Matrix& to) {
    gemm_.run(product, widened(x).view(), widened(w).view(), to.view(), true);
  }
};

TEST_P(WideProductsTogether, AreOneProductAfterTheOther) {
  constexpr float kFactor = 0.5F;
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{77}, kWideRows + 88}) {
    Group g{.tokens = tokens};
    Matrix u(tokens, Group::kRank, DType::kBf16);
    Matrix y = Matrix::random(tokens, Group::kOut, 6, GetParam(), 5);
    Matrix wanted = widened(y);
    Scratch scratch(tokens, Group::kIn + Group::kRank);
    const std::array stages{
        WideStage{
            {.y = u.view(), .terms = {Group::term(Product::kNT, g.x, g.a)}, .factor = kFactor}},
        WideStage{
            {.y = y.view(),
             .terms = {Group::term(Product::kNT, g.x, g.w), Group::term(Product::kNT, u, g.b)},
             .accumulate = true}}};
    wide_products(stages, scratch.view());
    add(Product::kNT, g.x, g.w, wanted);
    add(Product::kNT, u, g.b, wanted);
    expect_near(y, wanted, GetParam());
    Matrix unscaled(tokens, Group::kRank);
    add(Product::kNT, g.x, g.a, unscaled);
    scale(kFactor, unscaled.view());
    expect_near(u, unscaled, DType::kBf16);
    EXPECT_TRUE(y.gaps_untouched() && u.gaps_untouched());
  }
}

// Odd counts of rows, which a block in the scratch would be filled up to.
TEST_P(WideProductsTogether, ReadAnXInF32AsItIs) {
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{51}, kWideRows + 87}) {
    Group g{.tokens = tokens};
    Matrix wide = widened(g.x);
    Matrix got(tokens, Group::kOut, GetParam());
    Matrix wanted(tokens, Group::kOut, GetParam());
    Scratch scratch(tokens, Group::kIn);
    wide_product(Product::kNT, g.x.view(), g.w.view(), wanted.view(), false, scratch.view());
    Scratch none(0, 0);
    wide_product(Product::kNT, wide.view(), g.w.view(), got.view(), false, none.view());
    EXPECT_EQ(got, wanted);
  }
}

TEST_P(WideProductsTogether, AreTheSameBitsInSmallerBlocksWhereTheScratchIsSmall) {
  constexpr std::int64_t kTokens = 150;
  Group g{.tokens = kTokens};
  std::vector<Matrix> results;
  for (const std::int64_t rows : {kTokens, std::int64_t{64}, kWideRowUnit}) {
    Matrix du(kTokens, Group::kRank, DType::kBf16);
    Matrix dx(kTokens, Group::kIn, GetParam());
    Scratch scratch(0, 0);
    scratch.x.resize(static_cast<std::size_t>(rows * (Group::kOut + Group::kRank)));
    const std::array stages{
        WideStage{{.y = du.view(), .terms = {Group::term(Product::kNN, g.dy, g.b)}}},
        WideStage{
            {.y = dx.view(),
             .terms = {Group::term(Product::kNN, g.dy, g.w), Group::term(Product::kNN, du, g.a)}}}};
    wide_products(stages, scratch.view());
    results.push_back(dx);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  Scratch none(0, 0);
  const std::array stages{
      WideStage{{.y = results[0].view(), .terms = {Group::term(Product::kNN, g.dy, g.w)}}}};
  EXPECT_THROW(wide_products(stages, none.view()), std::logic_error);
}

TEST_P(WideProductsTogether, OverTokensReadWhatAnEarlierStageMade) {
  constexpr std::int64_t kTokens = kWideRows + 100;
  Group g{.tokens = kTokens};
  Matrix du(kTokens, Group::kRank, DType::kBf16);
  Matrix da = Matrix::random(Group::kRank, Group::kIn, 7);
  Matrix wanted = da;
  Scratch scratch(kTokens, Group::kOut + Group::kRank);
  const std::array stages{
      WideStage{{.y = du.view(), .terms = {Group::term(Product::kNN, g.dy, g.b)}}},
      WideStage{
          {.y = da.view(), .terms = {Group::term(Product::kTN, du, g.x)}, .accumulate = true}}};
  wide_products(stages, scratch.view());
  add(Product::kTN, du, g.x, wanted);
  expect_near(da, wanted, DType::kF32);
}

TEST_P(WideProductsTogether, RefuseOperandsThatDoNotBelongTogether) {
  Group g{.tokens = 10};
  Matrix y(10, Group::kOut + 1, GetParam());
  Scratch scratch(10, Group::kIn);
  const std::array stages{
      WideStage{{.y = y.view(), .terms = {Group::term(Product::kNT, g.x, g.w)}}}};
  EXPECT_THROW(wide_products(stages, scratch.view()), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(, WideProductsTogether, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });
INSTANTIATE_TEST_SUITE_P(, WideProductsOverTokens, testing::Values(DType::kF32),
                         [](const auto& type) { return std::string(name_of(type.param)); });
INSTANTIATE_TEST_SUITE_P(, WideProducts, testing::Values(DType::kF32, DType::kBf16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace loadline
