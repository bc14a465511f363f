// Private to this room: the online softmax of attention's forward over a block of scores. Scores
// are kept transposed, (key, query), so that a vector holds one key's scores of 16 queries and the
// softmax needs no sum across a vector.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/attention_blocks.h"
#include "kernels/block_product.h"
#include "kernels/exponential.h"
#include "kernels/vectors.h"

namespace loadline::attention {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct OnlineSoftmax {
  float* score;       // (kBlock keys, kBlock queries)
  float* maximum;     // (kBlock) at least nearly the highest score so far
  float* sum;         // (kBlock) of exp(score - maximum) so far
  float* correction;  // (kBlock) what earlier sums are multiplied by

  void begin() const {
    std::fill(maximum, maximum + kBlock, kMinusInfinity);
    std::fill(sum, sum + kBlock, 0.0F);
  }
  [[nodiscard]] float log_sum_exp(std::int64_t query) const {
    return maximum[query] + std::log(sum[query]);
  }
};

inline OnlineSoftmax carve_softmax(Carver& carver) {
  return {.score = carver.take(kBlock * kBlock),
          .maximum = carver.take(kBlock),
          .sum = carver.take(kBlock),
          .correction = carver.take(kBlock)};
}

// The queries that see a key are consecutive: those before and after them get no weight.
inline void mask(float* score, std::int64_t first_query, std::int64_t first_key,
                 std::int64_t window) {
  for (std::int64_t j = 0; j < kBlock; ++j) {
    const std::int64_t from = first_key + j - first_query;
    const std::int64_t to = window > 0 ? from + window : kBlock;
    float* row = score + j * kBlock;
    std::fill(row, row + std::clamp<std::int64_t>(from, 0, kBlock), kMinusInfinity);
    std::fill(row + std::clamp<std::int64_t>(to, 0, kBlock), row + kBlock, kMinusInfinity);
  }
}

// score = cap * tanh(factor * score / cap).
inline void cap_scores(float* scores, std::int64_t keys, std::int64_t queries, float factor,
                       float cap) {
  const float inverse = factor / cap;
  for (std::int64_t j = 0; j < keys; ++j) {
    float* score = scores + j * kBlock;
#pragma omp simd
    for (std::int64_t i = 0; i < queries; ++i) {
      score[i] = cap * hyperbolic_tangent(score[i] * inverse);
    }
  }
}

// Turns f32 scores into exp(score - maximum), raising maximum and sum and leaving the correction.
// A NaN is never the maximum; it reaches the sum and so the output.
inline void exponentiate(const OnlineSoftmax& s, std::int64_t keys, std::int64_t queries) {
  std::array<float, kBlock> highest;
  std::array<float, kBlock> base;  // any finite value where nothing was seen: no -inf - (-inf)
  std::array<float, kBlock> sum{};
  std::copy(s.maximum, s.maximum + kBlock, highest.begin());
  for (std::int64_t j = 0; j < keys; ++j) {
    const float* score = s.score + j * kBlock;
    float* high = highest.data();
#pragma omp simd
    for (std::int64_t i = 0; i < queries; ++i) high[i] = score[i] > high[i] ? score[i] : high[i];
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    base[i] = highest[i] == kMinusInfinity ? 0.0F : highest[i];
  }
  for (std::int64_t j = 0; j < keys; ++j) {
    float* score = s.score + j * kBlock;
    float* total = sum.data();
    const float* from = base.data();
#pragma omp simd
    for (std::int64_t i = 0; i < queries; ++i) {
      score[i] = exponential(score[i] - from[i]);
      total[i] += score[i];
    }
  }
  for (std::size_t i = 0; i < kBlock; ++i) {
    s.correction[i] = exponential(s.maximum[i] - base[i]);
    s.sum[i] = s.sum[i] * s.correction[i] + sum[i];
    s.maximum[i] = highest[i];
  }
}

#ifdef __AVX512BF16__

// The highest of the scores of 16 queries; a NaN never is.
inline __m512 highest_score(const float* score, std::int64_t keys) {
  __m512 highest = _mm512_set1_ps(kMinusInfinity);
  for (std::int64_t j = 0; j < keys; ++j) {
    highest = vectors::larger(_mm512_loadu_ps(score + j * kBlock), highest);
  }
  return highest;
}

// Scores of 16 queries become pairs of exp(factor * score - maximum), whose sum it returns. A pair
// is written where both of its scores were read.
inline __m512 paired_exponentials(float* score, std::int64_t keys, float factor, __m512 maximum) {
  const float scale = factor * vectors::kLog2E;
  const __m512 base = maximum * vectors::kLog2E;
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < keys; j += 2) {
    const float* from = score + j * kBlock;
    const __m512 upper = vectors::power_of_two(_mm512_loadu_ps(from) * scale - base);
    const __m512 lower = vectors::power_of_two(_mm512_loadu_ps(from + kBlock) * scale - base);
    sum += upper + lower;
    vectors::store(vectors::paired(upper, lower), score + j / 2 * kBlock);
  }
  return sum;
}

// The same into bf16, in pairs of keys in the scores' place, with the scores still to be multiplied
// by a positive factor. The maximum stays where the highest score is not far above it, which saves
// most corrections. Returns whether there is one.
inline bool exponentiate_pairs(const OnlineSoftmax& s, std::int64_t keys, std::int64_t queries,
                               float factor) {
  constexpr float kFar = 5.0F;
  const __m512 nothing = _mm512_set1_ps(kMinusInfinity);
  bool corrects = false;
  for (std::int64_t i = 0; i < queries; i += kLanes) {
    const __m512 before = _mm512_loadu_ps(s.maximum + i);
    const __m512 highest = highest_score(s.score + i, keys) * factor;
    const __mmask16 raised = _mm512_cmp_ps_mask(highest, before + kFar, _CMP_GT_OQ);
    const __m512 maximum = _mm512_mask_mov_ps(before, raised, highest);
    // Any finite value where nothing was seen: no -inf - (-inf).
    const __mmask16 seen = _mm512_cmp_ps_mask(maximum, nothing, _CMP_NEQ_UQ);
    const __m512 base = _mm512_maskz_mov_ps(seen, maximum);
    const __m512 correction = vectors::power_of_two((before - base) * vectors::kLog2E);
    const __m512 sum = paired_exponentials(s.score + i, keys, factor, base);
    _mm512_storeu_ps(s.sum + i, _mm512_loadu_ps(s.sum + i) * correction + sum);
    _mm512_storeu_ps(s.correction + i, correction);
    _mm512_storeu_ps(s.maximum + i, maximum);
    corrects |= raised != 0;
  }
  return corrects;
}

#endif

}  // namespace loadline::attention
