// Private to this room: small products between blocks in cache, for attention. Sums are in f32.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <bit>
#include <cstdint>
#include <cstring>

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

namespace block_product_detail {

// A tile's sums take 16 of 32 registers, or 8 of 16; two vectors of the right block one more each.
#ifdef __AVX512F__
constexpr std::int64_t kFloats = 16;  // in a vector register
constexpr std::int64_t kRows = 8;
#else
constexpr std::int64_t kFloats = 8;
constexpr std::int64_t kRows = 4;
#endif
constexpr std::int64_t kColumns = 2;

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

// A tile of R rows and N vectors stays in registers over the whole inner dimension.
template <std::int64_t R, std::int64_t N, bool kAdd, typename E>
void tile(std::int64_t k, const E* a, BlockStrides strides, const E* b, std::int64_t ldb, float* c,
          std::int64_t ldc) {
  Vector sum[R][N];
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t n = 0; n < N; ++n) {
      sum[r][n] = Vector{};
      if (kAdd) std::memcpy(&sum[r][n], c + r * ldc + n * kFloats, sizeof(Vector));
    }
  }
  for (std::int64_t p = 0; p < k; ++p) {
    typename Right<E>::Type right[N];
    for (std::int64_t n = 0; n < N; ++n) {
      std::memcpy(&right[n], b + p * ldb + n * kFloats, sizeof(Vector));
    }
    for (std::int64_t r = 0; r < R; ++r) {
      const E left = a[r * strides.row + p * strides.inner];
      for (std::int64_t n = 0; n < N; ++n) multiply_add(sum[r][n], left, right[n]);
    }
  }
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t n = 0; n < N; ++n)
      std::memcpy(c + r * ldc + n * kFloats, &sum[r][n], sizeof(Vector));
  }
}

template <std::int64_t N, bool kAdd, typename E>
void column(std::int64_t m, std::int64_t k, const E* a, BlockStrides strides, const E* b,
            std::int64_t ldb, float* c, std::int64_t ldc) {
  const std::int64_t whole = m - m % kRows;
  for (std::int64_t i = 0; i < whole; i += kRows) {
    tile<kRows, N, kAdd>(k, a + i * strides.row, strides, b, ldb, c + i * ldc, ldc);
  }
  for (std::int64_t i = whole; i < m; ++i) {
    tile<1, N, kAdd>(k, a + i * strides.row, strides, b, ldb, c + i * ldc, ldc);
  }
}

}  // namespace block_product_detail

// C (m,n) = A (m,k) · B (k,n), or += where kAdd; k counts elements, so pairs of bf16. B and C are
// row-major with ldb and ldc elements a row; n is a multiple of 16; an m that is a multiple of 8 is
// the fastest.
template <bool kAdd, typename E>
void block_product(std::int64_t m, std::int64_t n, std::int64_t k, const E* a, BlockStrides strides,
                   const E* b, std::int64_t ldb, float* c, std::int64_t ldc) {
  namespace detail = block_product_detail;
  constexpr std::int64_t kWide = detail::kColumns * detail::kFloats;
  const std::int64_t whole = n - n % kWide;
  for (std::int64_t j = 0; j < whole; j += kWide) {
    detail::column<detail::kColumns, kAdd>(m, k, a, strides, b + j, ldb, c + j, ldc);
  }
  for (std::int64_t j = whole; j < n; j += detail::kFloats) {
    detail::column<1, kAdd>(m, k, a, strides, b + j, ldb, c + j, ldc);
  }
}

}  // namespace loadline
