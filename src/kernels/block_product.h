// Private to this room: small f32 products between blocks in cache, for attention.
#pragma once

#include <cstdint>

namespace loadline {

// How the left block is read: element (i, k) lies at i * row + k * inner.
struct BlockStrides {
  std::int64_t row = 0;
  std::int64_t inner = 0;
};

// C (m,n) += A (m,k) · B (k,n); B and C row-major with ldb and ldc elements a row.
inline void block_product(std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                          BlockStrides a_strides, const float* b, std::int64_t ldb, float* c,
                          std::int64_t ldc) {
  for (std::int64_t i = 0; i < m; ++i) {
    float* out = c + i * ldc;
    for (std::int64_t p = 0; p < k; ++p) {
      const float left = a[i * a_strides.row + p * a_strides.inner];
      const float* right = b + p * ldb;
#pragma omp simd
      for (std::int64_t j = 0; j < n; ++j) out[j] += left * right[j];
    }
  }
}

}  // namespace loadline
