#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

struct alignas(64) Line {
  std::array<std::byte, 64> bytes;
};

class GemmTest : public testing::Test {
 protected:
  GemmTest() : lines_(Gemm::scratch_bound(threads()).count / sizeof(Line) + 1) {
    gemm_.use_scratch(std::as_writable_bytes(std::span(lines_)));
  }

  std::vector<Line> lines_;
  Gemm gemm_;
};

// C (+)= op(A) · op(B) in double.
Matrix expected(Product product, const Matrix& a, const Matrix& b, const Matrix& c,
                bool accumulate) {
  Matrix sum(c.rows(), c.cols());
  const std::int64_t inner = product == Product::kTN ? a.rows() : a.cols();
  for (std::int64_t i = 0; i < c.rows(); ++i) {
    for (std::int64_t j = 0; j < c.cols(); ++j) {
      double total = accumulate ? c.get(i, j) : 0;
      for (std::int64_t k = 0; k < inner; ++k) {
        const double left = product == Product::kTN ? a.get(k, i) : a.get(i, k);
        total += left * (product == Product::kNT ? b.get(j, k) : b.get(k, j));
      }
      sum.set(i, j, total);
    }
  }
  return sum;
}

struct GemmCase {
  Product product;
  DType in, out;
  bool accumulate;
};

constexpr std::int64_t kWide = 24;
constexpr std::int64_t kNarrow = 17;

Matrix left(const GemmCase& c, std::int64_t tokens) {
  return Matrix::random(tokens, kNarrow, 1, c.in, 7);
}
Matrix right(const GemmCase& c, std::int64_t tokens) {
  if (c.product == Product::kNT) return Matrix::random(kWide, kNarrow, 2, c.in, 3);
  if (c.product == Product::kNN) return Matrix::random(kNarrow, kWide, 2, c.in, 3);
  return Matrix::random(tokens, kWide, 2, c.in, 3);
}
Matrix result(const GemmCase& c, std::int64_t tokens) {
  return Matrix::random(c.product == Product::kTN ? kNarrow : tokens, kWide, 3, c.out, 5);
}

std::vector<GemmCase> gemm_cases() {
  std::vector<GemmCase> all;
  for (const auto product : {Product::kNT, Product::kNN, Product::kTN}) {
    for (const bool accumulate : {false, true}) {
      all.push_back({product, DType::kF32, DType::kF32, accumulate});
      if (!bf16_is_supported()) continue;
      all.push_back({product, DType::kBf16, DType::kF32, accumulate});
      all.push_back({product, DType::kBf16, DType::kBf16, accumulate});
    }
  }
  return all;
}

TEST_F(GemmTest, EveryProductOfStridedViewsIsRightForEveryTokenCount) {
  for (const GemmCase& c : gemm_cases()) {
    for (const std::int64_t tokens : {0,   1,   2,   3,   5,   15,  16,  17,  31,  63,  64, 65,
                                      100, 127, 129, 255, 257, 300, 383, 511, 512, 513, 600}) {
      Matrix a = left(c, tokens);
      Matrix b = right(c, tokens);
      Matrix out = result(c, tokens);
      const Matrix wanted = expected(c.product, a, b, out, c.accumulate);
      gemm_.run(c.product, a.view(), b.view(), out.view(), c.accumulate);
      // In bf16 each block of a TN product rounds the running sum.
      const double allowed = tolerance(c.out) * (c.product == Product::kTN ? 10 : 1);
      EXPECT_LE(distance(out, wanted), allowed)
          << "product " << static_cast<int>(c.product) << " tokens " << tokens << " in "
          << name_of(c.in) << " out " << name_of(c.out) << " accumulate " << c.accumulate;
      EXPECT_TRUE(out.gaps_untouched());
    }
  }
}

TEST_F(GemmTest, AfterTheFirstUseNothingIsCompiledWhateverTheTokenCount) {
  for (const GemmCase& c : gemm_cases()) {
    Matrix a = left(c, 2);
    Matrix b = right(c, 2);
    Matrix out = result(c, 2);
    gemm_.run(c.product, a.view(), b.view(), out.view(), c.accumulate);
    const std::size_t before = gemm_.compiled();
    EXPECT_GT(before, 0U);
    for (const std::int64_t tokens : {1, 3, 20, 77, 300, 1023, 1100}) {
      Matrix more_a = left(c, tokens);
      Matrix more_b = right(c, tokens);
      Matrix more = result(c, tokens);
      gemm_.run(c.product, more_a.view(), more_b.view(), more.view(), c.accumulate);
    }
    EXPECT_EQ(gemm_.compiled(), before);
  }
}

TEST_F(GemmTest, TheSameInputsGiveTheSameBits) {
  for (const GemmCase& c : gemm_cases()) {
    Matrix a = left(c, 333);
    Matrix b = right(c, 333);
    Matrix first = result(c, 333);
    Matrix second = first;
    gemm_.run(c.product, a.view(), b.view(), first.view(), c.accumulate);
    Gemm other;
    other.use_scratch(std::as_writable_bytes(std::span(lines_)));
    other.run(c.product, a.view(), b.view(), second.view(), c.accumulate);
    EXPECT_TRUE(first == second);
  }
}

TEST_F(GemmTest, AnEmptySumIsZeroOrLeavesTheResult) {
  Matrix a(0, 3);
  Matrix b(0, 4);
  Matrix out = Matrix::random(3, 4, 1);
  const Matrix before = out;
  gemm_.run(Product::kTN, a.view(), b.view(), out.view(), true);
  EXPECT_TRUE(out == before);
  gemm_.run(Product::kTN, a.view(), b.view(), out.view(), false);
  EXPECT_TRUE(out == Matrix(3, 4));
}

TEST_F(GemmTest, ViewsThatDoNotBelongTogetherAreRefused) {
  Matrix a(5, 3);
  Matrix b(4, 3);
  Matrix c(5, 4);
  Matrix narrow(5, 3);
  Matrix bf16(4, 3, DType::kBf16);
  EXPECT_THROW(gemm_.run(Product::kNN, a.view(), b.view(), c.view(), false), std::logic_error);
  EXPECT_THROW(gemm_.run(Product::kTN, a.view(), b.view(), c.view(), false), std::logic_error);
  EXPECT_THROW(gemm_.run(Product::kNT, a.view(), b.view(), narrow.view(), false), std::logic_error);
  EXPECT_THROW(gemm_.run(Product::kNT, a.view(), bf16.view(), c.view(), false), std::logic_error);
  View overlapping = c.view();
  overlapping.stride = 2;
  EXPECT_THROW(gemm_.run(Product::kNT, a.view(), b.view(), overlapping, false), std::logic_error);
}

TEST_F(GemmTest, ScratchBelowTheBoundIsRefused) {
  Gemm gemm;
  EXPECT_THROW(gemm.use_scratch(std::as_writable_bytes(std::span(lines_).first(10))),
               std::logic_error);
}

// The kernel counts writable pages of generated code as data, touched or not: 256 KiB for each of
// some thirty pieces.
TEST_F(GemmTest, CompiledCodeIsNotLeftWritable) {
  const auto writable_code = [] {
    std::ifstream maps("/proc/self/maps");
    std::string line;
    int count = 0;
    while (std::getline(maps, line)) {
      count += line.find(" rwxp 00000000 00:00 0") != std::string::npos ? 1 : 0;
    }
    return count;
  };
  const int before = writable_code();
  const std::size_t compiled = gemm_.compiled();
  // Strided or not, as narrow as a vector or not: other kernels of oneDNN.
  for (const int gap : {1, 0}) {
    for (const int width : {31, 1}) {
      Matrix a = Matrix::random(40, 23, 1, DType::kF32, gap);
      Matrix b = Matrix::random(width, 23, 2, DType::kF32, gap);
      Matrix c(40, width);
      gemm_.run(Product::kNT, a.view(), b.view(), c.view(), false);
      gemm_.run(Product::kTN, c.view(), a.view(), b.view(), false);
    }
  }
  EXPECT_GT(gemm_.compiled(), compiled);
  EXPECT_EQ(writable_code(), before);
}

}  // namespace
}  // namespace loadline
