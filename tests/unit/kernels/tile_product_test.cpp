#include "kernels/tile_product.h"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "kernels/threads.h"
#include "unit/kernels/matrix.h"
#include "unit/kernels/quantized.h"

namespace loadline {
namespace {

// One square; panels of different widths; of a few columns; the deepest.
constexpr std::pair<std::int64_t, std::int64_t> kTileShapes[] = {
    {32, 32}, {1184, 576}, {192, 2048}, {64, 8192}, {96, 15360}};

constexpr int kMostThreads = 5;

class TileProducts : public testing::Test {
 protected:
  void SetUp() override {
    if (!multiplies_in_tiles(Product::kNT, DType::kBf16, 32, 32)) {
      GTEST_SKIP() << "this CPU, or this build, has no tiles";
    }
    set_threads(2);
  }
  void TearDown() override { set_threads(2); }

  std::span<std::byte> scratch() { return std::as_writable_bytes(std::span(lines_)); }

 private:
  struct alignas(64) Line {
    std::array<std::byte, 64> bytes;
  };
  std::vector<Line> lines_{(kMostThreads + 1) * kTilePanel.count / sizeof(Line)};
};

Matrix right_side(Product product, std::int64_t outer, std::int64_t inner) {
  const bool forward = product == Product::kNT;
  return Matrix::random(forward ? outer : inner, forward ? inner : outer, 1, DType::kBf16, 6, 0.1);
}

Matrix in_f32(const Matrix& from) {
  Matrix wide(from.rows(), from.cols());
  for (std::int64_t r = 0; r < from.rows(); ++r) {
    for (std::int64_t c = 0; c < from.cols(); ++c) wide.set(r, c, from.get(r, c));
  }
  return wide;
}

TEST_F(TileProducts, AreRightForAnyNumberOfTokensAndPanels) {
  Gemm gemm;
  gemm.use_scratch(scratch());
  for (const auto& [outer, inner] : kTileShapes) {
    for (const std::int64_t tokens : {1, 31, 32, 333}) {
      if (tokens > 77 && inner > 2048) continue;
      for (const Product product : {Product::kNT, Product::kNN}) {
        Matrix w = right_side(product, outer, inner);
        Matrix x = Matrix::random(tokens, inner, 2, DType::kBf16, 4);
        Matrix wide_x = in_f32(x);
        Matrix wide_w = in_f32(w);
        for (const DType out : {DType::kF32, DType::kBf16}) {
          for (const bool accumulate : {false, true}) {
            Matrix y = Matrix::random(tokens, outer, 3, out, 5);
            Matrix wanted = in_f32(y);
            gemm.run(product, wide_x.view(), wide_w.view(), wanted.view(), accumulate);
            tile_product(product, x.view(), w.view(), y.view(), accumulate, scratch());
            EXPECT_LE(distance(y, wanted), tolerance(out))
                << outer << " x " << inner << ", " << tokens << " tokens, product "
                << static_cast<int>(product) << " into " << name_of(out) << ", " << accumulate;
            EXPECT_TRUE(y.gaps_untouched());
          }
        }
      }
    }
  }
}

TEST_F(TileProducts, HaveTheSameBitsWithAnyNumberOfThreadsAndWhateverTokensAreBeside) {
  Matrix w = right_side(Product::kNT, 1184, 576);
  Matrix x = Matrix::random(700, 576, 2, DType::kBf16);
  Matrix two(700, 1184, DType::kBf16);
  tile_product(Product::kNT, x.view(), w.view(), two.view(), false, scratch());
  for (const int count : {1, 3, kMostThreads}) {
    set_threads(count);
    Matrix others(700, 1184, DType::kBf16);
    tile_product(Product::kNT, x.view(), w.view(), others.view(), false, scratch());
    EXPECT_TRUE(others == two) << count << " threads";
  }
  Matrix last(9, 1184, DType::kBf16);
  tile_product(Product::kNT, x.view().slice(691, 9), w.view(), last.view(), false, scratch());
  for (std::int64_t r = 0; r < 9; ++r) {
    for (std::int64_t c = 0; c < 1184; ++c) ASSERT_EQ(last.get(r, c), two.get(691 + r, c));
  }
}

TEST_F(TileProducts, OfQuantizedWeightsAreThoseOfTheDequantizedOnes) {
  for (const auto& [outer, inner] :
       {std::pair<int, int>{192, 2048}, {1216, 576}, {64, 8192}, {128, 15360}, {64, 64}}) {
    for (const Product product : {Product::kNT, Product::kNN}) {
      const bool forward = product == Product::kNT;
      const Quantized weight = random_weights(forward ? outer : inner, forward ? inner : outer);
      Matrix dequantized = weight.dequantized(DType::kBf16);
      Matrix x = Matrix::random(40, inner, 2, DType::kBf16);
      Matrix y = Matrix::random(40, outer, 3, DType::kBf16);
      Matrix wanted = y;
      tile_product(product, x.view(), dequantized.view(), wanted.view(), true, scratch());
      tile_product(product, x.view(), weight.view(), y.view(), true, scratch());
      EXPECT_TRUE(y == wanted) << outer << " x " << inner;
    }
  }
}

TEST_F(TileProducts, OfSomeRowsOfQuantizedWeightsAreThoseOfTheseRows) {
  const Quantized weight = random_weights(192, 576);
  Matrix dequantized = weight.dequantized(DType::kBf16);
  Matrix x = Matrix::random(40, 576, 2, DType::kBf16);
  Matrix y(40, 96, DType::kBf16);
  Matrix wanted(40, 96, DType::kBf16);
  tile_product(Product::kNT, x.view(), dequantized.view().slice(64, 96), wanted.view(), false,
               scratch());
  tile_product(Product::kNT, x.view(), weight.view().slice(64, 96), y.view(), false, scratch());
  EXPECT_TRUE(y == wanted);
  Matrix dy = Matrix::random(40, 96, 2, DType::kBf16);
  Matrix dx(40, 576, DType::kBf16);
  Matrix wanted_dx(40, 576, DType::kBf16);
  tile_product(Product::kNN, dy.view(), dequantized.view().slice(64, 96), wanted_dx.view(), false,
               scratch());
  tile_product(Product::kNN, dy.view(), weight.view().slice(64, 96), dx.view(), false, scratch());
  EXPECT_TRUE(dx == wanted_dx);
}

TEST_F(TileProducts, OfFewTokensAreLeftToOneDnnWhereThatIsAskedFor) {
  Gemm gemm(32);
  gemm.use_scratch(scratch());
  const Quantized weight = random_weights(64, 64);
  Matrix x = Matrix::random(32, 64, 2, DType::kBf16);
  Matrix y(32, 64, DType::kBf16);
  EXPECT_TRUE(gemm.run_in_tiles(Product::kNT, x.view(), weight.view(), y.view(), false));
  EXPECT_FALSE(gemm.run_in_tiles(Product::kNT, x.view().slice(0, 31), weight.view(),
                                 y.view().slice(0, 31), false));
  Matrix dequantized = weight.dequantized(DType::kBf16);
  gemm.run(Product::kNT, x.view(), dequantized.view(), y.view(), false);
  EXPECT_EQ(gemm.compiled(), 0U);
  gemm.run(Product::kNT, x.view().slice(0, 31), dequantized.view(), y.view().slice(0, 31), false);
  EXPECT_GT(gemm.compiled(), 0U);
}

TEST_F(TileProducts, AreNotForWidthsThatAreNoWholeSquaresNorForWhatTheScratchCannotHold) {
  EXPECT_FALSE(multiplies_in_tiles(Product::kNT, DType::kBf16, 33, 64));
  EXPECT_FALSE(multiplies_in_tiles(Product::kNN, DType::kBf16, 64, 8));
  EXPECT_FALSE(multiplies_in_tiles(Product::kTN, DType::kBf16, 64, 64));
  EXPECT_FALSE(multiplies_in_tiles(Product::kNT, DType::kF32, 64, 64));
  EXPECT_TRUE(multiplies_in_tiles(Product::kNT, DType::kBf16, 64, 14336));
  EXPECT_FALSE(multiplies_in_tiles(Product::kNT, DType::kBf16, 64, 15392));
}

}  // namespace
}  // namespace loadline
