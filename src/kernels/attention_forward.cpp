#include <omp.h>

#include <array>
#include <cmath>
#include <limits>

#include "kernels/attention_blocks.h"
#include "kernels/attention_operands.h"
#include "kernels/block_product.h"
#include "kernels/exponential.h"
#include "kernels/kernel_times.h"

namespace loadline {
namespace attention {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// Scores are kept transposed, (key, query), so that a vector holds one key's scores of 16 queries
// and the softmax needs no sum across a vector.
template <typename E>
struct Scratch {
  E* query;           // (HD, kBlock), transposed
  E* key;             // (kBlock, HD)
  E* value;           // (kBlock, HD), rows paired
  E* value_rows;      // (kBlock, HD), before they are paired
  float* score;       // (kBlock keys, kBlock queries)
  E* probability;     // (kBlock keys, kBlock queries), rows paired; in the scores' place
  float* out;         // (kBlock, HD)
  float* maximum;     // (kBlock) at least nearly the highest score so far
  float* sum;         // (kBlock) of exp(score - maximum) so far
  float* correction;  // (kBlock) what earlier sums are multiplied by
};

template <typename E>
Scratch<E> carve(Carver& carver, std::int64_t width) {
  Scratch<E> s{};
  s.query = carver.take<E>(inner<E>(width) * kBlock);
  s.key = carver.take<E>(kBlock * inner<E>(width));
  s.value = carver.take<E>(kBlock * inner<E>(width));
  s.value_rows = kPairs<E> ? s.key : s.value;
  s.score = carver.take(kBlock * kBlock);
  s.probability = reinterpret_cast<E*>(s.score);
  s.out = carver.take(kBlock * width);
  s.maximum = carver.take(kBlock);
  s.sum = carver.take(kBlock);
  s.correction = carver.take(kBlock);
  return s;
}

// The queries that see a key are consecutive: those before and after them get no weight.
void mask(float* score, std::int64_t first_query, std::int64_t first_key, std::int64_t window) {
  for (std::int64_t j = 0; j < kBlock; ++j) {
    const std::int64_t from = first_key + j - first_query;
    const std::int64_t to = window > 0 ? from + window : kBlock;
    float* row = score + j * kBlock;
    std::fill(row, row + std::clamp<std::int64_t>(from, 0, kBlock), kMinusInfinity);
    std::fill(row + std::clamp<std::int64_t>(to, 0, kBlock), row + kBlock, kMinusInfinity);
  }
}

// Turns the scores into exp(score - maximum), raising maximum and sum and leaving the correction.
// A NaN is never the maximum; it reaches the sum and so the output.
void online_softmax(const Scratch<float>& s, std::int64_t keys, std::int64_t queries, float) {
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
__m512 highest_score(const float* score, std::int64_t keys) {
  __m512 highest = _mm512_set1_ps(kMinusInfinity);
  for (std::int64_t j = 0; j < keys; ++j) {
    highest = larger(_mm512_loadu_ps(score + j * kBlock), highest);
  }
  return highest;
}

// Scores of 16 queries become pairs of exp(factor * score - maximum), whose sum it returns. A pair
// is written where both of its scores were read.
__m512 exponentials(float* score, std::int64_t keys, float factor, __m512 maximum) {
  const float scale = factor * kLog2E;
  const __m512 base = maximum * kLog2E;
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t j = 0; j < keys; j += 2) {
    const float* from = score + j * kBlock;
    const __m512 upper = power_of_two(_mm512_loadu_ps(from) * scale - base);
    const __m512 lower = power_of_two(_mm512_loadu_ps(from + kBlock) * scale - base);
    sum += upper + lower;
    const PairVector pairs = paired(upper, lower);
    std::memcpy(score + j / 2 * kBlock, &pairs, sizeof pairs);
  }
  return sum;
}

// The same with the scores still to be multiplied by a positive factor. The maximum stays where the
// highest score is not far above it, which saves most corrections.
void online_softmax(const Scratch<Bf16Pair>& s, std::int64_t keys, std::int64_t queries,
                    float factor) {
  constexpr float kFar = 5.0F;
  const __m512 nothing = _mm512_set1_ps(kMinusInfinity);
  for (std::int64_t i = 0; i < queries; i += kLanes) {
    const __m512 before = _mm512_loadu_ps(s.maximum + i);
    const __m512 highest = highest_score(s.score + i, keys) * factor;
    const __mmask16 raised = _mm512_cmp_ps_mask(highest, before + kFar, _CMP_GT_OQ);
    const __m512 maximum = _mm512_mask_mov_ps(before, raised, highest);
    // Any finite value where nothing was seen: no -inf - (-inf).
    const __mmask16 seen = _mm512_cmp_ps_mask(maximum, nothing, _CMP_NEQ_UQ);
    const __m512 base = _mm512_maskz_mov_ps(seen, maximum);
    const __m512 correction = power_of_two((before - base) * kLog2E);
    const __m512 sum = exponentials(s.score + i, keys, factor, base);
    _mm512_storeu_ps(s.sum + i, _mm512_loadu_ps(s.sum + i) * correction + sum);
    _mm512_storeu_ps(s.correction + i, correction);
    _mm512_storeu_ps(s.maximum + i, maximum);
  }
}

#endif

template <typename E>
void rescale(const Scratch<E>& s, std::int64_t count, std::int64_t width) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float factor = s.correction[i];
    if (factor == 1.0F) continue;
    float* out = s.out + i * width;
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) out[d] *= factor;
  }
}

struct Inputs {
  ConstView q, k, v;
  AttentionShape shape;
  View out;
  std::span<float> log_sum_exp;
};

// score = key · query, where a diagonal block's strip of keys is seen by the queries from its own
// on.
template <typename E>
void score_block(const Scratch<E>& s, std::int64_t keys, std::int64_t queries,
                 std::int64_t head_dim, bool diagonal) {
  const std::int64_t width = inner<E>(padded(head_dim));
  const std::int64_t rows = whole_rows(keys);
  const std::int64_t strip = diagonal ? kStrip : rows;
  for (std::int64_t j = 0; j < rows; j += strip) {
    const std::int64_t first = diagonal ? j : 0;
    block_product<false>(std::min(strip, rows - j), queries - first, inner<E>(head_dim),
                         s.key + j * width, {width, 1}, s.query + first, kBlock,
                         s.score + j * kBlock + first, kBlock);
  }
}

// out += probability · value, where a diagonal block's strip of queries sees the keys up to its
// own.
template <typename E>
void add_values(const Scratch<E>& s, std::int64_t keys, std::int64_t count, std::int64_t width,
                bool diagonal) {
  const std::int64_t rows = whole_rows(count);
  const std::int64_t strip = diagonal ? kStrip : rows;
  for (std::int64_t i = 0; i < rows; i += strip) {
    block_product<true>(std::min(strip, rows - i), width,
                        inner<E>(diagonal ? std::min(keys, i + kStrip) : keys), s.probability + i,
                        {1, kBlock}, s.value, width, s.out + i * width, width);
  }
}

// score = cap * tanh(factor * score / cap).
void cap_scores(float* scores, std::int64_t keys, std::int64_t queries, float factor, float cap) {
  const float inverse = factor / cap;
  for (std::int64_t j = 0; j < keys; ++j) {
    float* score = scores + j * kBlock;
#pragma omp simd
    for (std::int64_t i = 0; i < queries; ++i) {
      score[i] = cap * hyperbolic_tangent(score[i] * inverse);
    }
  }
}

template <typename T, typename E>
void add_key_block(const Inputs& in, const Row& row, std::int64_t head, std::int64_t query_block,
                   std::int64_t key_block, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  const std::int64_t first = key_block * kBlock;
  const std::int64_t keys = std::min(kBlock, row.length - first);
  const std::int64_t count = std::min(kBlock, row.length - query_block * kBlock);
  const std::int64_t column = head / (in.shape.heads / in.shape.kv_heads) * hd;
  const bool diagonal = query_block == key_block;
  const float cap = in.shape.softcap;
  const float factor = score_factor<E>(in.shape);
  gather_rows<T>(in.v, row.begin + first, keys, column, hd, 1.0F, s.value_rows, width);
  pair_rows(s.value_rows, width, s.value);
  gather_rows<T>(in.k, row.begin + first, keys, column, hd, 1.0F, s.key, width);
  score_block(s, keys, padded(count), hd, diagonal);
  if (cap > 0) cap_scores(s.score, keys, padded(count), factor, cap);
  if (needs_mask(query_block, key_block, in.shape.window)) {
    mask(s.score, query_block * kBlock, first, in.shape.window);
  }
  online_softmax(s, keys, padded(count), cap > 0 ? 1.0F : factor);
  rescale(s, count, width);
  add_values(s, keys, count, width, diagonal);
}

template <typename T, typename E>
void store_block(const Inputs& in, std::int64_t first, std::int64_t count, std::int64_t head,
                 const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  for (std::int64_t i = 0; i < count; ++i) {
    const float factor = 1.0F / s.sum[i];
    T* out = in.out.row<T>(first + i) + head * hd;
#pragma omp simd
    for (std::int64_t d = 0; d < hd; ++d) out[d] = stored<T>(s.out[i * width + d] * factor);
    in.log_sum_exp[static_cast<std::size_t>(head * in.q.rows + first + i)] =
        s.maximum[i] + std::log(s.sum[i]);
  }
}

template <typename T, typename E>
void query_block_forward(const Inputs& in, const Row& row, std::int64_t head,
                         std::int64_t query_block, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  const std::int64_t first = row.begin + query_block * kBlock;
  const std::int64_t count = std::min(kBlock, row.length - query_block * kBlock);
  gather_rows<T>(in.q, first, count, head * hd, hd, query_factor<E>(in.shape), s.key, width);
  transpose(s.key, inner<E>(width), s.query);
  std::fill(s.out, s.out + kBlock * width, 0.0F);
  std::fill(s.maximum, s.maximum + kBlock, kMinusInfinity);
  std::fill(s.sum, s.sum + kBlock, 0.0F);
  for (std::int64_t b = first_key_block(query_block, in.shape.window); b <= query_block; ++b) {
    add_key_block<T>(in, row, head, query_block, b, s);
  }
  store_block<T>(in, first, count, head, s);
}

}  // namespace

std::int64_t forward_scratch(const AttentionShape& shape) {
  Carver f32(nullptr);
  Carver bf16(nullptr);
  carve<Operand<float>>(f32, padded(shape.head_dim));
  carve<Operand<Bf16>>(bf16, padded(shape.head_dim));
  return std::max(f32.used(), bf16.used());
}

}  // namespace attention

void attention_forward(ConstView q, ConstView k, ConstView v,
                       std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                       View out, std::span<float> log_sum_exp, std::span<std::byte> scratch) {
  const KernelTimer timer(Kernel::kAttentionForward);
  namespace at = attention;
  at::require_inputs(q, k, v, row_starts, shape);
  require_same_shape(q, out, "attention_forward: q and out");
  require(q.dtype == out.dtype, "attention_forward: q and out must have one type");
  require(static_cast<std::int64_t>(log_sum_exp.size()) >= shape.heads * q.rows,
          "attention_forward: log_sum_exp must be (NH x T)");
  const std::int64_t each = at::forward_scratch(shape);
  float* parts = at::aligned_scratch(scratch, each * omp_get_max_threads());
  const at::Inputs in{q, k, v, shape, out, log_sum_exp};
  const auto rows = static_cast<std::int64_t>(row_starts.size()) - 1;
  const std::int64_t most = at::blocks(at::longest_row(row_starts));
  with_storage(q.dtype, "attention", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
    // A block is computed whole by one thread, so the result does not depend on which. The last
    // blocks of a row are the longest work: they go first.
#pragma omp parallel for collapse(3) schedule(dynamic, 1)
    for (std::int64_t back = 0; back < most; ++back) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t head = 0; head < shape.heads; ++head) {
          const at::Row row = at::row_at(row_starts, r);
          const std::int64_t block = most - 1 - back;
          if (block >= at::blocks(row.length)) continue;
          at::Carver carver(parts + omp_get_thread_num() * each);
          at::query_block_forward<T>(in, row, head, block,
                                     at::carve<at::Operand<T>>(carver, at::padded(shape.head_dim)));
        }
      }
    }
  });
}

}  // namespace loadline
