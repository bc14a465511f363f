// Private to this room: small products between blocks in cache, for attention. Sums are in f32.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/intrinsics.h"

namespace loadline {

// An element of a block that is multiplied is a float or, where the CPU has instructions for them,
// two neighbours along the inner dimension in bf16, the first in the low half.
using Bf16Pair = std::uint32_t;
#ifdef __AVX512BF16__
constexpr bool kMultipliesBf16 = true;
#else
constexpr bool kMultipliesBf16 = false;
#endif

// How the left block is read: element (i, k) lies at i * row + k * inner.
struct BlockStrides {
  std::int64_t row = 0;
  std::int64_t inner = 0;
};

// Rows that are multiplied at once.
constexpr std::int64_t kBlockRows = 6;

namespace block_product_detail {

// A tile's sums take 24 of 32 registers, or 12 of 16; a row of the right block and an element of
// the left one the others.
#ifdef __AVX512F__
constexpr std::int64_t kFloats = 16;  // in a vector register
constexpr std::int64_t kColumns = 4;
#else
constexpr std::int64_t kFloats = 8;
constexpr std::int64_t kColumns = 2;
#endif

// A type of GCC and clang; one name would not do for an attribute in a template.
typedef float Vector __attribute__((vector_size(kFloats * sizeof(float))));

// A vector of the right block's elements.
template <typename E>
struct Right {
  typedef E Type __attribute__((vector_size(kFloats * sizeof(E))));
};

// By reference: what passing a vector means depends on what the CPU has.
inline void multiply_add(Vector& sum, float left, const Vector& right) { sum += left * right; }

#ifdef __AVX512BF16__
inline void multiply_add(Vector& sum, Bf16Pair left, const Right<Bf16Pair>::Type& right) {
  const __m512i pairs = _mm512_set1_epi32(static_cast<int>(left));
  sum = _mm512_dpbf16_ps(sum, std::bit_cast<__m512bh>(pairs), std::bit_cast<__m512bh>(right));
}
#endif

// A tile of R rows and N vectors stays in registers over the whole inner dimension. Without the
// pragmas GCC 12 unrolls these loops too late to see it, and takes all sums through the stack.
template <std::int64_t R, std::int64_t N, bool kAdd, typename E>
void tile(std::int64_t k, const E* a, BlockStrides strides, const E* b, std::int64_t ldb, float* c,
          std::int64_t ldc) {
  Vector sum[R][N];
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (std::int64_t n = 0; n < N; ++n) {
      sum[r][n] = Vector{};
      if (kAdd) std::memcpy(&sum[r][n], c + r * ldc + n * kFloats, sizeof(Vector));
    }
  }
  for (std::int64_t p = 0; p < k; ++p) {
    typename Right<E>::Type right[N];
#pragma GCC unroll 8
    for (std::int64_t n = 0; n < N; ++n) {
      std::memcpy(&right[n], b + p * ldb + n * kFloats, sizeof(Vector));
    }
#pragma GCC unroll 8
    for (std::int64_t r = 0; r < R; ++r) {
      const E left = a[r * strides.row + p * strides.inner];
#pragma GCC unroll 8
      for (std::int64_t n = 0; n < N; ++n) multiply_add(sum[r][n], left, right[n]);
    }
  }
#pragma GCC unroll 8
  for (std::int64_t r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (std::int64_t n = 0; n < N; ++n) {
      std::memcpy(c + r * ldc + n * kFloats, &sum[r][n], sizeof(Vector));
    }
  }
}

// Rows [i, m) of N vectors, as many at a time as R says, the rest by smaller tiles.
template <std::int64_t R, std::int64_t N, bool kAdd, typename E>
void rows(std::int64_t i, std::int64_t m, std::int64_t k, const E* a, BlockStrides strides,
          const E* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  for (; i + R <= m; i += R) {
    tile<R, N, kAdd>(k, a + i * strides.row, strides, b, ldb, c + i * ldc, ldc);
  }
  if constexpr (R > 1) {
    constexpr std::int64_t kSmaller = R == kBlockRows ? 4 : R / 2;
    if (i < m) rows<kSmaller, N, kAdd>(i, m, k, a, strides, b, ldb, c, ldc);
  }
}

// Columns [j, n), N vectors at a time, the rest by narrower tiles.
template <std::int64_t N, bool kAdd, typename E>
void columns(std::int64_t j, std::int64_t m, std::int64_t n, std::int64_t k, const E* a,
             BlockStrides strides, const E* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  for (; j + N * kFloats <= n; j += N * kFloats) {
    rows<kBlockRows, N, kAdd>(0, m, k, a, strides, b + j, ldb, c + j, ldc);
  }
  if constexpr (N > 1) {
    if (j < n) columns<N / 2, kAdd>(j, m, n, k, a, strides, b, ldb, c, ldc);
  }
}

}  // namespace block_product_detail

// C (m,n) = A (m,k) · B (k,n), or += where kAdd; k counts elements, so pairs of bf16. B and C are
// row-major with ldb and ldc elements a row; n is a multiple of 16; an odd m is slow at its end.
template <bool kAdd, typename E>
void block_product(std::int64_t m, std::int64_t n, std::int64_t k, const E* a, BlockStrides strides,
                   const E* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  namespace detail = block_product_detail;
  detail::columns<detail::kColumns, kAdd>(0, m, n, k, a, strides, b, ldb, c, ldc);
}

}  // namespace loadline
