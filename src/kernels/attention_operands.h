// Private to this room: what attention's products multiply. f32 data, and bf16 data where the CPU
// cannot multiply bf16, are gathered as f32. Elsewhere bf16 data stay bf16, in pairs along the
// product's inner dimension: a left block and a transposed right one pair neighbours in a row, any
// other block pairs neighbouring rows.
#pragma once

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/attention_blocks.h"
#include "kernels/block_product.h"

namespace loadline::attention {

template <typename T>
using Operand = std::conditional_t<std::is_same_v<T, Bf16> && kMultipliesBf16, Bf16Pair, float>;
template <typename E>
constexpr bool kPairs = std::is_same_v<E, Bf16Pair>;
template <typename E>
constexpr std::int64_t kInEach = kPairs<E> ? 2 : 1;  // numbers in an operand's element

// Elements along an inner dimension of n numbers.
template <typename E>
std::int64_t inner(std::int64_t n) {
  return (n + kInEach<E> - 1) / kInEach<E>;
}

// The scale of the scores goes into f32 queries. In bf16 it would round them again, so there the
// scores themselves are scaled.
template <typename E>
float query_factor(const AttentionShape& shape) {
  return kPairs<E> ? 1.0F : shape.scale;
}
template <typename E>
float score_factor(const AttentionShape& shape) {
  return kPairs<E> ? shape.scale : 1.0F;
}

// One head's columns of `count` tokens from `first`, as (kBlock, width) operands that are paired
// along a row; the rest is zero. Only f32 takes a factor.
template <typename T, typename E>
void gather_rows(ConstView from, std::int64_t first, std::int64_t count, std::int64_t column,
                 std::int64_t head_dim, float factor, E* to, std::int64_t width) {
  if constexpr (kPairs<E>) {
    const std::int64_t pairs = width / 2;
    const auto bytes = static_cast<std::size_t>(head_dim) * sizeof(T);
    for (std::int64_t i = 0; i < kBlock; ++i) {
      E* out = to + i * pairs;
      std::fill(out + (i < count ? head_dim / 2 : 0), out + pairs, 0U);
      if (i < count) std::memcpy(out, from.row<T>(first + i) + column, bytes);
    }
  } else {
    gather<T>(from, first, count, column, head_dim, factor, to, width);
  }
}

// (kBlock, width) operands that gather_rows paired along a row, paired along a column instead. In
// f32 both are the same, and must be the same memory.
template <typename E>
void pair_rows(const E* from, std::int64_t width, E* to) {
  if constexpr (kPairs<E>) {
    const std::int64_t pairs = width / 2;
    for (std::int64_t i = 0; i < kBlock; i += 2) {
      const E* upper = from + i * pairs;
      const E* lower = upper + pairs;
      E* out = to + i * pairs;
#pragma omp simd
      for (std::int64_t d = 0; d < pairs; ++d) {
        out[2 * d] = (upper[d] & 0xffffU) | (lower[d] << 16);
        out[2 * d + 1] = (upper[d] >> 16) | (lower[d] & 0xffff0000U);
      }
    }
  }
}

#ifdef __AVX512BF16__

constexpr float kLog2E = 1.44269504F;

// Written with a mask, as GCC 12 warns of what its header leaves undefined in the forms without.
constexpr __mmask16 kAll = 0xffff;

// The larger of each two; the second where one is a NaN.
inline __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(kAll, a, b); }

// Within 4 ulp of 2^x, 0 far below and NaN for NaN: 2^n * 2^r, n = round(x), by the polynomial of
// degree 5 whose largest error relative to 2^r is the least, 2e-7 in f32.
inline __m512 power_of_two(__m512 x) {
  const __m512 high = larger(_mm512_set1_ps(-200.0F), x);
  const __m512 n =
      _mm512_maskz_roundscale_ps(kAll, high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = high - n;
  __m512 p = _mm512_set1_ps(1.32764725e-3F);
  for (const float c : {9.67554189e-3F, 5.55071309e-2F, 2.40221202e-1F, 6.93146944e-1F, 1.0F}) {
    p = p * r + c;
  }
  return _mm512_maskz_scalef_ps(kAll, p, n);
}

typedef Bf16 Bf16Vector __attribute__((vector_size(32)));
using PairVector = block_product_detail::Right<Bf16Pair>::Type;

inline Bf16Vector rounded_to_bf16(__m512 x) {
  return std::bit_cast<Bf16Vector>(_mm512_cvtneps_pbh(x));
}

// Sixteen pairs: upper's numbers are the first of each.
inline PairVector paired(__m512 upper, __m512 lower) {
  return __builtin_convertvector(rounded_to_bf16(upper), PairVector) |
         __builtin_convertvector(rounded_to_bf16(lower), PairVector) << 16;
}

#endif

}  // namespace loadline::attention
