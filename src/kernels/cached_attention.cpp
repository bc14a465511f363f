#include "kernels/cached_attention.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "kernels/attention_blocks.h"
#include "kernels/attention_units.h"
#include "kernels/exponential.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

// With fewer the blocks would be mostly empty.
constexpr std::int64_t kFewestForBlocks = 16;

struct Scratch {
  float* query;  // (group, HD), scaled
  float* score;  // (group, P), then exp(score - maximum)
  float* out;    // (group, HD)
  float* sum;    // (group) of the probabilities
};

Scratch carve(attention::Carver& carver, const AttentionShape& shape, std::int64_t positions) {
  const std::int64_t group = shape.heads / shape.kv_heads;
  Scratch s{};
  s.query = carver.take(group * shape.head_dim);
  s.score = carver.take(group * positions);
  s.out = carver.take(group * shape.head_dim);
  s.sum = carver.take(group);
  return s;
}

std::int64_t scratch_floats(const AttentionShape& shape, std::int64_t positions) {
  attention::Carver carver(nullptr);
  carve(carver, shape, positions);
  return carver.used();
}

struct Inputs {
  ConstView q, k, v;
  AttentionShape shape;
  View out;
};

template <typename T>
float dot(const float* a, const T* b, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * load(b[i]);
  return sum;
}

// The scores of `count` keys from `first` on, and their largest.
template <typename T>
void score_keys(const Inputs& in, std::int64_t kv_head, std::int64_t first, std::int64_t count,
                std::int64_t group, const Scratch& s) {
  const std::int64_t hd = in.shape.head_dim;
  for (std::int64_t p = 0; p < count; ++p) {
    const T* key = in.k.row<T>(first + p) + kv_head * hd;
    for (std::int64_t g = 0; g < group; ++g) {
      s.score[g * count + p] = dot(s.query + g * hd, key, hd);
    }
  }
}

void cap_scores(float* score, std::int64_t count, float cap) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) score[i] = cap * hyperbolic_tangent(score[i] / cap);
}

// Scores -> probabilities before the division by their sum, which is returned. A NaN stays one.
float softmax(float* score, std::int64_t count) {
  float highest = -std::numeric_limits<float>::infinity();
  for (std::int64_t p = 0; p < count; ++p) highest = score[p] > highest ? score[p] : highest;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t p = 0; p < count; ++p) {
    score[p] = exponential(score[p] - highest);
    sum += score[p];
  }
  return sum;
}

template <typename T>
void add_values(const Inputs& in, std::int64_t kv_head, std::int64_t first, std::int64_t count,
                std::int64_t group, const Scratch& s) {
  const std::int64_t hd = in.shape.head_dim;
  std::fill(s.out, s.out + group * hd, 0.0F);
  for (std::int64_t p = 0; p < count; ++p) {
    const T* value = in.v.row<T>(first + p) + kv_head * hd;
    for (std::int64_t g = 0; g < group; ++g) {
      const float weight = s.score[g * count + p];
      float* out = s.out + g * hd;
#pragma omp simd
      for (std::int64_t d = 0; d < hd; ++d) out[d] += weight * load(value[d]);
    }
  }
}

// All query heads of one key-value head for query `t`.
template <typename T>
void attend(const Inputs& in, std::int64_t t, std::int64_t kv_head, const Scratch& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t group = in.shape.heads / in.shape.kv_heads;
  const std::int64_t position = in.k.rows - in.q.rows + t;
  const std::int64_t window = in.shape.window;
  const std::int64_t first = window > 0 ? std::max<std::int64_t>(0, position - window + 1) : 0;
  const std::int64_t count = position + 1 - first;
  const T* query = in.q.row<T>(t) + kv_head * group * hd;
  for (std::int64_t i = 0; i < group * hd; ++i) s.query[i] = in.shape.scale * load(query[i]);
  score_keys<T>(in, kv_head, first, count, group, s);
  if (in.shape.softcap > 0) cap_scores(s.score, group * count, in.shape.softcap);
  for (std::int64_t g = 0; g < group; ++g) s.sum[g] = softmax(s.score + g * count, count);
  add_values<T>(in, kv_head, first, count, group, s);
  T* out = in.out.row<T>(t) + kv_head * group * hd;
  for (std::int64_t g = 0; g < group; ++g) {
    const float factor = 1.0F / s.sum[g];
    for (std::int64_t d = 0; d < hd; ++d) out[g * hd + d] = stored<T>(s.out[g * hd + d] * factor);
  }
}

void require_inputs(const Inputs& in) {
  const AttentionShape& shape = in.shape;
  require(shape.heads > 0 && shape.kv_heads > 0 && shape.head_dim > 0 &&
              shape.heads % shape.kv_heads == 0,
          "cached attention: heads must be a multiple of kv_heads");
  require(in.q.cols == shape.heads * shape.head_dim && in.k.cols == shape.kv_heads * shape.head_dim,
          "cached attention: q must be (T, NH x HD) and k (P, NKV x HD)");
  require_same_shape(in.k, in.v, "cached attention: k and v");
  require_same_shape(in.q, in.out, "cached attention: q and out");
  require(in.q.rows <= in.k.rows, "cached attention: the queries are the last of the positions");
  require(in.q.dtype == in.k.dtype && in.q.dtype == in.v.dtype && in.q.dtype == in.out.dtype,
          "cached attention: q, k, v and out must have one type");
}

}  // namespace

void cached_attention_forward(ConstView q, ConstView k, ConstView v, const AttentionShape& shape,
                              View out, std::span<std::byte> scratch) {
  const Inputs in{q, k, v, shape, out};
  require_inputs(in);
  if (q.rows >= kFewestForBlocks) {
    const std::array<std::int32_t, 2> row{0, static_cast<std::int32_t>(q.rows)};
    const std::int64_t each = attention::forward_scratch(shape, q.dtype);
    return attention::forward_by_blocks(
        {q, k, v, shape, out, {}, k.rows - q.rows}, row,
        attention::aligned_scratch(scratch, each * omp_get_max_threads()));
  }
  const std::int64_t each = scratch_floats(shape, k.rows);
  float* parts = attention::aligned_scratch(scratch, each * omp_get_max_threads());
  with_storage(q.dtype, "attention", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for collapse(2) schedule(dynamic, 1)
    for (std::int64_t t = 0; t < in.q.rows; ++t) {
      for (std::int64_t head = 0; head < shape.kv_heads; ++head) {
        attention::Carver carver(parts + omp_get_thread_num() * each);
        attend<T>(in, t, head, carve(carver, shape, in.k.rows));
      }
    }
  });
}

Bytes cached_attention_scratch(const AttentionShape& shape, DType dtype, std::int64_t positions,
                               int threads) {
  const std::int64_t floats = threads * std::max(scratch_floats(shape, positions),
                                                 attention::forward_scratch(shape, dtype));
  return {static_cast<std::uint64_t>(floats) * sizeof(float) + 64};
}

}  // namespace loadline
