// Private to this room: small f32 products between blocks in cache, for attention.
#pragma once

#include <cstdint>
#include <cstring>

namespace loadline {

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

inline Vector load_vector(const float* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

// A tile of R rows and N vectors stays in registers over the whole inner dimension.
template <std::int64_t R, std::int64_t N, bool kAdd>
void tile(std::int64_t k, const float* a, BlockStrides strides, const float* b, std::int64_t ldb,
          float* c, std::int64_t ldc) {
  Vector sum[R][N];
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t n = 0; n < N; ++n) {
      sum[r][n] = kAdd ? load_vector(c + r * ldc + n * kFloats) : Vector{};
    }
  }
  for (std::int64_t p = 0; p < k; ++p) {
    Vector right[N];
    for (std::int64_t n = 0; n < N; ++n) right[n] = load_vector(b + p * ldb + n * kFloats);
    for (std::int64_t r = 0; r < R; ++r) {
      const float left = a[r * strides.row + p * strides.inner];
      for (std::int64_t n = 0; n < N; ++n) sum[r][n] += left * right[n];
    }
  }
  for (std::int64_t r = 0; r < R; ++r) {
    for (std::int64_t n = 0; n < N; ++n)
      std::memcpy(c + r * ldc + n * kFloats, &sum[r][n], sizeof(Vector));
  }
}

template <std::int64_t N, bool kAdd>
void column(std::int64_t m, std::int64_t k, const float* a, BlockStrides strides, const float* b,
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

// C (m,n) = A (m,k) · B (k,n), or += where kAdd. B and C are row-major with ldb and ldc elements a
// row; n is a multiple of 16; an m that is a multiple of 8 is the fastest.
template <bool kAdd>
void block_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                   BlockStrides strides, const float* b, std::int64_t ldb, float* c,
                   std::int64_t ldc) {
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
