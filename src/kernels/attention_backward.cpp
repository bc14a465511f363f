#include <omp.h>

#include "kernels/attention_operands.h"
#include "kernels/attention_units.h"
#include "kernels/block_product.h"
#include "kernels/exponential.h"

namespace loadline::attention {
namespace {

// What is paired is in f32 the same memory as before.
template <typename E>
struct Scratch {
  E* key;               // (kBlock, HD)
  E* paired_key;        // (kBlock, HD), rows paired
  E* key_transposed;    // (HD, kBlock)
  E* value_transposed;  // (HD, kBlock)
  E* query;             // (kBlock, HD); also where a value block is gathered
  E* paired_query;      // (kBlock, HD), rows paired
  E* dout;              // (kBlock, HD)
  E* paired_dout;       // (kBlock, HD), rows paired
  float* score;         // (kBlock queries, kBlock keys), in f32 then the probabilities
  float* dprobability;  // (kBlock queries, kBlock keys), in f32 then the scores' gradients
  E* probability;       // (kBlock queries, kBlock keys), rows paired; in the scores' place
  E* paired_dscore;     // (kBlock queries, kBlock keys), rows paired; in dprobability's place
  E* dscore;            // (kBlock queries, kBlock keys)
  float* dkey;          // (kBlock, HD)
  float* dvalue;        // (kBlock, HD)
  float* dquery;        // (heads of a group, longest row in blocks, kBlock, HD)
};

template <typename E>
Scratch<E> carve(Carver& carver, const AttentionShape& shape, std::int64_t longest) {
  const std::int64_t width = padded(shape.head_dim);
  const std::int64_t block = kBlock * inner<E>(width);
  const auto paired = [&](E* rows) { return kPairs<E> ? carver.take<E>(block) : rows; };
  Scratch<E> s{};
  s.key = carver.take<E>(block);
  s.paired_key = paired(s.key);
  s.key_transposed = carver.take<E>(block);
  s.value_transposed = carver.take<E>(block);
  s.query = carver.take<E>(block);
  s.paired_query = paired(s.query);
  s.dout = carver.take<E>(block);
  s.paired_dout = paired(s.dout);
  s.score = carver.take(kBlock * kBlock);
  s.dprobability = carver.take(kBlock * kBlock);
  s.probability = reinterpret_cast<E*>(s.score);
  s.paired_dscore = reinterpret_cast<E*>(s.dprobability);
  s.dscore = kPairs<E> ? carver.take<E>(kBlock * inner<E>(kBlock)) : s.paired_dscore;
  s.dkey = carver.take(kBlock * width);
  s.dvalue = carver.take(kBlock * width);
  s.dquery = carver.take(shape.heads / shape.kv_heads * blocks(longest) * kBlock * width);
  return s;
}

// One query's scores become probabilities p, and the gradients of those, which come in ds, the
// scores' own.
void probability_row(float* p, float* ds, float log_sum, float delta) {
#pragma omp simd
  for (std::int64_t j = 0; j < kBlock; ++j) {
    p[j] = exponential(p[j] - log_sum);
    ds[j] = p[j] * (ds[j] - delta);
  }
}

// The same where the softmax is of c = cap * tanh(score / cap), whose slope is 1 - (c / cap)^2.
void capped_probability_row(float* p, float* ds, float log_sum, float delta, float cap) {
  const float inverse = 1.0F / cap;
#pragma omp simd
  for (std::int64_t j = 0; j < kBlock; ++j) {
    const float t = hyperbolic_tangent(p[j] * inverse);
    p[j] = exponential(cap * t - log_sum);
    ds[j] = p[j] * (ds[j] - delta) * (1.0F - t * t);
  }
}

// The keys [begin, end) of a block that a query sees.
struct Seen {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// One head's queries of one block and the keys of another.
struct Place {
  Row row;
  std::int64_t head = 0;
  std::int64_t query_block = 0;
  std::int64_t key_block = 0;

  [[nodiscard]] std::int64_t first() const { return query_block * kBlock; }
  [[nodiscard]] std::int64_t queries() const { return std::min(kBlock, row.length - first()); }
  [[nodiscard]] Seen seen(std::int64_t query, std::int64_t window) const {
    if (!needs_mask(query_block, key_block, window)) return {0, kBlock};
    const std::int64_t end = first() + query + 1 - key_block * kBlock;
    const std::int64_t begin = window > 0 ? end - window : 0;
    return {std::clamp<std::int64_t>(begin, 0, kBlock), std::clamp<std::int64_t>(end, 0, kBlock)};
  }
};

// Scores become probabilities; their gradients, which come in dprobability, become the scores'
// gradients.
void softmax_gradient(const BackwardInputs& in, const Scratch<float>& s, const Place& at) {
  const std::int64_t offset = at.head * in.q.rows + at.row.begin + at.first();
  for (std::int64_t i = 0; i < at.queries(); ++i) {
    const float log_sum = in.log_sum_exp[static_cast<std::size_t>(offset + i)];
    const float delta = in.delta[offset + i];
    float* p = s.score + i * kBlock;
    float* ds = s.dprobability + i * kBlock;
    if (in.shape.softcap > 0) {
      capped_probability_row(p, ds, log_sum, delta, in.shape.softcap);
    } else {
      probability_row(p, ds, log_sum, delta);
    }
    const Seen seen = at.seen(i, in.shape.window);
    for (float* weights : {p, ds}) {
      std::fill(weights, weights + seen.begin, 0.0F);
      std::fill(weights + seen.end, weights + kBlock, 0.0F);
    }
  }
}

#ifdef __AVX512BF16__

// What makes one query's scores probabilities. A query beyond the block's end sees nothing.
struct QueryRow {
  float log_sum = 0;  // in base 2
  float delta = 0;
  Seen seen;

  // Which of the 16 keys from j on it sees.
  [[nodiscard]] __mmask16 mask(std::int64_t j) const {
    return static_cast<__mmask16>(vectors::first_lanes(seen.end - j) &
                                  ~vectors::first_lanes(seen.begin - j));
  }
};

QueryRow query_row(const BackwardInputs& in, const Place& at, std::int64_t query) {
  if (query >= at.queries()) return {};
  const std::int64_t offset = at.head * in.q.rows + at.row.begin + at.first() + query;
  return {in.log_sum_exp[static_cast<std::size_t>(offset)] * vectors::kLog2E, in.delta[offset],
          at.seen(query, in.shape.window)};
}

struct Weights {
  __m512 probability;
  __m512 dscore;
};

// Of one query and 16 keys. `scale` makes scores, or their hyperbolic tangents where they are
// capped, exponents of 2.
Weights weights_of(const QueryRow& query, std::int64_t j, const float* score,
                   const float* dprobability, float scale, bool capped) {
  const __mmask16 seen = query.mask(j);
  const __m512 x = _mm512_loadu_ps(score + j);
  const __m512 p = vectors::power_of_two(x * scale - query.log_sum);
  __m512 ds = p * (_mm512_loadu_ps(dprobability + j) - query.delta);
  if (capped) ds *= 1.0F - x * x;
  return {_mm512_maskz_mov_ps(seen, p), _mm512_maskz_mov_ps(seen, ds)};
}

// The same, two queries at a time: their pairs are written where both rows were read.
void softmax_gradient(const BackwardInputs& in, const Scratch<Bf16Pair>& s, const Place& at) {
  const float cap = in.shape.softcap;
  const float scale = (cap > 0 ? cap : in.shape.scale) * vectors::kLog2E;
  if (cap > 0) squash(s.score, in.shape.scale / cap);
  for (std::int64_t i = 0; i < at.queries(); i += 2) {
    const QueryRow upper = query_row(in, at, i);
    const QueryRow lower = query_row(in, at, i + 1);
    const float* score = s.score + i * kBlock;
    const float* dp = s.dprobability + i * kBlock;
    Bf16Pair* dscore = s.dscore + i * kBlock / 2;
    for (std::int64_t j = 0; j < kBlock; j += kLanes) {
      const Weights a = weights_of(upper, j, score, dp, scale, cap > 0);
      const Weights b = weights_of(lower, j, score + kBlock, dp + kBlock, scale, cap > 0);
      vectors::store(vectors::paired(a.probability, b.probability),
                     s.probability + i / 2 * kBlock + j);
      vectors::store(vectors::paired(a.dscore, b.dscore), s.paired_dscore + i / 2 * kBlock + j);
      vectors::store(vectors::rounded_to_bf16(a.dscore), dscore + j / 2);
      vectors::store(vectors::rounded_to_bf16(b.dscore), dscore + (kBlock + j) / 2);
    }
  }
}

#endif

// The sizes of one pair of blocks. A diagonal pair's triangle is computed in strips, each of them
// with the part of the other side that it sees.
struct Pair {
  std::int64_t queries = 0;
  std::int64_t keys = 0;
  std::int64_t head_dim = 0;
  std::int64_t width = 0;
  bool diagonal = false;

  [[nodiscard]] std::int64_t strip(std::int64_t rows) const { return diagonal ? kStrip : rows; }
};

// out (queries, keys) = left (queries, HD) · right (HD, keys).
template <typename E>
void query_key_product(const Pair& pair, const E* left, const E* right, float* out) {
  const std::int64_t width = inner<E>(pair.width);
  const std::int64_t rows = whole_rows(pair.queries);
  const std::int64_t strip = pair.strip(rows);
  const std::int64_t keys = padded(pair.keys);
  for (std::int64_t i = 0; i < rows; i += strip) {
    block_product<false>(std::min(strip, rows - i),
                         pair.diagonal ? std::min(keys, i + kStrip) : keys, inner<E>(pair.head_dim),
                         left + i * width, {width, 1}, right, kBlock, out + i * kBlock, kBlock);
  }
}

// to (keys, HD) += weight (queries, keys)^T · from (queries, HD), both with rows paired.
template <typename E>
void add_to_keys(const Pair& pair, const E* weight, const E* from, float* to) {
  const std::int64_t rows = whole_rows(pair.keys);
  const std::int64_t strip = pair.strip(rows);
  for (std::int64_t j = 0; j < rows; j += strip) {
    const std::int64_t first = pair.diagonal ? j : 0;
    block_product<true>(std::min(strip, rows - j), pair.width, inner<E>(pair.queries - first),
                        weight + inner<E>(first) * kBlock + j, {1, kBlock},
                        from + inner<E>(first) * pair.width, pair.width, to + j * pair.width,
                        pair.width);
  }
}

// to (queries, HD) += weight (queries, keys) · from (keys, HD), whose rows are paired.
template <typename E>
void add_to_queries(const Pair& pair, const E* weight, const E* from, float* to) {
  const std::int64_t block = inner<E>(kBlock);
  const std::int64_t rows = whole_rows(pair.queries);
  const std::int64_t strip = pair.strip(rows);
  for (std::int64_t i = 0; i < rows; i += strip) {
    block_product<true>(std::min(strip, rows - i), pair.width,
                        inner<E>(pair.diagonal ? std::min(pair.keys, i + kStrip) : pair.keys),
                        weight + i * block, {block, 1}, from, pair.width, to + i * pair.width,
                        pair.width);
  }
}

template <typename T, typename E>
void block_pair(const BackwardInputs& in, const Unit& unit, std::int64_t member,
                std::int64_t query_block, std::int64_t key_block, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const Place at{unit.row, unit.kv_head * in.group() + member, query_block, key_block};
  const std::int64_t first = unit.row.begin + at.first();
  const Pair pair{.queries = at.queries(),
                  .keys = std::min(kBlock, unit.row.length - key_block * kBlock),
                  .head_dim = hd,
                  .width = in.width(),
                  .diagonal = query_block == key_block};
  gather_rows<T>(in.q, first, pair.queries, at.head * hd, hd, query_factor<E>(in.shape), s.query,
                 pair.width);
  gather_rows<T>(in.dout, first, pair.queries, at.head * hd, hd, 1.0F, s.dout, pair.width);
  pair_rows(s.query, pair.width, s.paired_query);
  pair_rows(s.dout, pair.width, s.paired_dout);
  query_key_product(pair, s.query, s.key_transposed, s.score);
  query_key_product(pair, s.dout, s.value_transposed, s.dprobability);
  softmax_gradient(in, s, at);
  const std::int64_t block = member * blocks(unit.row.length) + query_block;
  add_to_keys(pair, s.probability, s.paired_dout, s.dvalue);
  add_to_keys(pair, s.paired_dscore, s.paired_query, s.dkey);
  add_to_queries(pair, s.dscore, s.paired_key, s.dquery + block * kBlock * pair.width);
}

template <typename T>
void store_rows(const float* from, std::int64_t width, float factor, View to, std::int64_t first,
                std::int64_t count, std::int64_t column, std::int64_t head_dim) {
  for (std::int64_t i = 0; i < count; ++i) {
    T* out = to.row<T>(first + i) + column;
#pragma omp simd
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] = stored<T>(factor * from[i * width + d]);
  }
}

// Key blocks begin, begin + step, ...: their dk and dv whole, and their part of dq in s.dquery.
template <typename T, typename E>
void key_blocks_backward(const BackwardInputs& in, const Unit& unit, std::int64_t begin,
                         std::int64_t step, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = in.width();
  const std::int64_t columns = inner<E>(width);
  const std::int64_t count = blocks(unit.row.length);
  std::fill(s.dquery, s.dquery + in.group() * count * kBlock * width, 0.0F);
  for (std::int64_t b = begin; b < count; b += step) {
    const std::int64_t first = unit.row.begin + b * kBlock;
    const std::int64_t keys = std::min(kBlock, unit.row.length - b * kBlock);
    const std::int64_t column = unit.kv_head * hd;
    gather_rows<T>(in.v, first, keys, column, hd, 1.0F, s.query, width);
    transpose(kBlock, columns, s.query, columns, s.value_transposed, kBlock);
    gather_rows<T>(in.k, first, keys, column, hd, 1.0F, s.key, width);
    transpose(kBlock, columns, s.key, columns, s.key_transposed, kBlock);
    pair_rows(s.key, width, s.paired_key);
    std::fill(s.dkey, s.dkey + kBlock * width, 0.0F);
    std::fill(s.dvalue, s.dvalue + kBlock * width, 0.0F);
    const std::int64_t last = last_query_block(b, unit.row.length, in.shape.window);
    for (std::int64_t member = 0; member < in.group(); ++member) {
      for (std::int64_t qb = b; qb <= last; ++qb) block_pair<T>(in, unit, member, qb, b, s);
    }
    store_rows<T>(s.dkey, width, score_factor<E>(in.shape), in.dk, first, keys, column, hd);
    store_rows<T>(s.dvalue, width, 1.0F, in.dv, first, keys, column, hd);
  }
}

// dq of one block of one head: the parts of `team` threads in their order, times the scale that the
// scores had.
template <typename T>
void sum_dquery(const BackwardInputs& in, const Unit& unit, std::int64_t member,
                std::int64_t query_block, const float* dquery, std::int64_t each,
                std::int64_t team) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = in.width();
  const std::int64_t first = query_block * kBlock;
  const std::int64_t count = std::min(kBlock, unit.row.length - first);
  const std::int64_t head = unit.kv_head * in.group() + member;
  for (std::int64_t i = 0; i < count; ++i) {
    const float* part = dquery + (member * blocks(unit.row.length) * kBlock + first + i) * width;
    T* out = in.dq.row<T>(unit.row.begin + first + i) + head * hd;
#pragma omp simd
    for (std::int64_t d = 0; d < hd; ++d) {
      float sum = 0;
      for (std::int64_t t = 0; t < team; ++t) sum += part[t * each + d];
      out[d] = stored<T>(sum * in.shape.scale);
    }
  }
}

// One unit by one thread.
template <typename T, typename E>
void unit_alone(const BackwardInputs& in, const Unit& unit, const Scratch<E>& s) {
  key_blocks_backward<T>(in, unit, 0, 1, s);
  for (std::int64_t member = 0; member < in.group(); ++member) {
    for (std::int64_t b = 0; b < blocks(unit.row.length); ++b) {
      sum_dquery<T>(in, unit, member, b, s.dquery, 0, 1);
    }
  }
}

// One unit by all threads: thread t takes the key blocks t, t + team, ...
template <typename T, typename E>
void unit_together(const BackwardInputs& in, const Unit& unit, float* parts, std::int64_t each,
                   int team) {
#pragma omp parallel for schedule(static, 1)
  for (int t = 0; t < team; ++t) {
    Carver carver(parts + t * each);
    key_blocks_backward<T>(in, unit, t, team, carve<E>(carver, in.shape, in.longest));
  }
  Carver carver(parts);
  const auto first = carve<E>(carver, in.shape, in.longest);
  const std::int64_t count = blocks(unit.row.length);
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < in.group() * count; ++b) {
    sum_dquery<T>(in, unit, b / count, b % count, first.dquery, each, team);
  }
}

template <typename T, typename E>
void all_units(const BackwardInputs& in, std::span<const std::int32_t> row_starts, float* parts) {
  const std::int64_t each = backward_scratch(in.shape, in.q.dtype, in.longest);
  const auto alone = [&](const Unit& unit, int thread) {
    Carver carver(parts + thread * each);
    unit_alone<T>(in, unit, carve<E>(carver, in.shape, in.longest));
  };
  const auto together = [&](const Unit& unit) {
    unit_together<T, E>(in, unit, parts, each, omp_get_max_threads());
  };
  for_units(row_starts, in.shape.kv_heads, alone, together);
}

}  // namespace

std::int64_t backward_scratch(const AttentionShape& shape, DType dtype, std::int64_t longest) {
  Carver counting(nullptr);
  with_operands(dtype, shape, [&](auto /*data*/, auto operand) {
    carve<TypeOf<decltype(operand)>>(counting, shape, longest);
  });
  return counting.used();
}

void backward_by_blocks(const BackwardInputs& in, std::span<const std::int32_t> row_starts,
                        float* parts) {
  with_operands(in.q.dtype, in.shape, [&](auto data, auto operand) {
    all_units<TypeOf<decltype(data)>, TypeOf<decltype(operand)>>(in, row_starts, parts);
  });
}

}  // namespace loadline::attention
