// Private to this room: what attention's products multiply. f32 data, and bf16 data where the CPU
// cannot multiply bf16 or the shape widens, are gathered as f32. Elsewhere bf16 data stay bf16, in
// pairs along the product's inner dimension: a left block and a transposed right one pair
// neighbours in a row, any other block pairs neighbouring rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/attention_blocks.h"
#include "kernels/block_product.h"
#include "kernels/exponential.h"
#include "kernels/vectors.h"

namespace loadline::attention {

// Calls f with the Storage of the data and that of the operands.
template <typename F>
void with_operands(DType dtype, const AttentionShape& shape, F&& f) {
  with_storage(dtype, "attention", [&](auto data) {
    if constexpr (std::is_same_v<TypeOf<decltype(data)>, Bf16> && kMultipliesBf16) {
      if (!shape.widen) return f(data, Storage<Bf16Pair>{});
    }
    f(data, Storage<float>{});
  });
}

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
void pair_rows([[maybe_unused]] const E* from, [[maybe_unused]] std::int64_t width,
               [[maybe_unused]] E* to) {
#ifdef __AVX512BF16__
  if constexpr (kPairs<E>) vectors::pair_rows(kBlock, width / 2, from, to);
#endif
}

// A block of scores becomes the hyperbolic tangents of them times `factor`: what a softcap is made
// of.
inline void squash(float* score, float factor) {
#pragma omp simd
  for (std::int64_t i = 0; i < kBlock * kBlock; ++i) {
    score[i] = hyperbolic_tangent(score[i] * factor);
  }
}

}  // namespace loadline::attention
