#include <omp.h>

#include "kernels/attention_blocks.h"
#include "kernels/block_product.h"
#include "kernels/exponential.h"
#include "kernels/kernel_times.h"

namespace loadline {
namespace attention {
namespace {

struct Scratch {
  float* key;               // (kBlock, HD)
  float* key_transposed;    // (HD, kBlock)
  float* value_transposed;  // (HD, kBlock)
  float* query;             // (kBlock, HD), scaled; also where a value block is gathered
  float* dout;              // (kBlock, HD)
  float* probability;       // (kBlock queries, kBlock keys)
  float* dscore;            // (kBlock queries, kBlock keys)
  float* dkey;              // (kBlock, HD)
  float* dvalue;            // (kBlock, HD)
  float* dquery;            // (heads of a group, longest row in blocks, kBlock, HD)
};

Scratch carve(Carver& carver, const AttentionShape& shape, std::int64_t longest) {
  const std::int64_t width = padded(shape.head_dim);
  Scratch s{};
  s.key = carver.take(kBlock * width);
  s.key_transposed = carver.take(width * kBlock);
  s.value_transposed = carver.take(width * kBlock);
  s.query = carver.take(kBlock * width);
  s.dout = carver.take(kBlock * width);
  s.probability = carver.take(kBlock * kBlock);
  s.dscore = carver.take(kBlock * kBlock);
  s.dkey = carver.take(kBlock * width);
  s.dvalue = carver.take(kBlock * width);
  s.dquery = carver.take(shape.heads / shape.kv_heads * blocks(longest) * kBlock * width);
  return s;
}

struct Inputs {
  ConstView dout, q, k, v, out;
  std::span<const float> log_sum_exp;
  AttentionShape shape;
  View dq, dk, dv;
  float* delta;  // (NH x T): the dot product of dout and out
  std::int64_t longest;

  [[nodiscard]] std::int64_t group() const { return shape.heads / shape.kv_heads; }
  [[nodiscard]] std::int64_t width() const { return padded(shape.head_dim); }
};

// All queries of a row for one key-value head: what must be summed by one thread, or by a team.
struct Unit {
  Row row;
  std::int64_t kv_head = 0;
};

template <typename T>
void fill_delta(const Inputs& in) {
  const std::int64_t hd = in.shape.head_dim;
#pragma omp parallel for schedule(static)
  for (std::int64_t t = 0; t < in.q.rows; ++t) {
    for (std::int64_t head = 0; head < in.shape.heads; ++head) {
      const T* a = in.dout.row<T>(t) + head * hd;
      const T* b = in.out.row<T>(t) + head * hd;
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t d = 0; d < hd; ++d) sum += load(a[d]) * load(b[d]);
      in.delta[head * in.q.rows + t] = sum;
    }
  }
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

// Scores become probabilities; their gradients, which come in dscore, become the scores' gradients.
void softmax_gradient(const Inputs& in, const Scratch& s, const Row& row, std::int64_t head,
                      std::int64_t query_block, std::int64_t key_block) {
  const bool masked = needs_mask(query_block, key_block, in.shape.window);
  const std::int64_t first = query_block * kBlock;
  const std::int64_t count = std::min(kBlock, row.length - first);
  const std::int64_t offset = head * in.q.rows + row.begin + first;
  for (std::int64_t i = 0; i < count; ++i) {
    const float log_sum = in.log_sum_exp[static_cast<std::size_t>(offset + i)];
    const float delta = in.delta[offset + i];
    float* p = s.probability + i * kBlock;
    float* ds = s.dscore + i * kBlock;
    if (in.shape.softcap > 0) {
      capped_probability_row(p, ds, log_sum, delta, in.shape.softcap);
    } else {
      probability_row(p, ds, log_sum, delta);
    }
    if (!masked) continue;
    // The keys that this query sees are consecutive.
    const std::int64_t to = first + i + 1 - key_block * kBlock;
    const std::int64_t from = in.shape.window > 0 ? to - in.shape.window : 0;
    for (float* weights : {p, ds}) {
      std::fill(weights, weights + std::clamp<std::int64_t>(from, 0, kBlock), 0.0F);
      std::fill(weights + std::clamp<std::int64_t>(to, 0, kBlock), weights + kBlock, 0.0F);
    }
  }
}

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
void query_key_product(const Pair& pair, const float* left, const float* right, float* out) {
  const std::int64_t rows = whole_rows(pair.queries);
  const std::int64_t strip = pair.strip(rows);
  const std::int64_t keys = padded(pair.keys);
  for (std::int64_t i = 0; i < rows; i += strip) {
    block_product<false>(
        std::min(strip, rows - i), pair.diagonal ? std::min(keys, i + kStrip) : keys, pair.head_dim,
        left + i * pair.width, {pair.width, 1}, right, kBlock, out + i * kBlock, kBlock);
  }
}

// to (keys, HD) += weight (queries, keys)^T · from (queries, HD).
void add_to_keys(const Pair& pair, const float* weight, const float* from, float* to) {
  const std::int64_t rows = whole_rows(pair.keys);
  const std::int64_t strip = pair.strip(rows);
  for (std::int64_t j = 0; j < rows; j += strip) {
    const std::int64_t first = pair.diagonal ? j : 0;
    block_product<true>(std::min(strip, rows - j), pair.width, pair.queries - first,
                        weight + first * kBlock + j, {1, kBlock}, from + first * pair.width,
                        pair.width, to + j * pair.width, pair.width);
  }
}

// to (queries, HD) += weight (queries, keys) · from (keys, HD).
void add_to_queries(const Pair& pair, const float* weight, const float* from, float* to) {
  const std::int64_t rows = whole_rows(pair.queries);
  const std::int64_t strip = pair.strip(rows);
  for (std::int64_t i = 0; i < rows; i += strip) {
    block_product<true>(std::min(strip, rows - i), pair.width,
                        pair.diagonal ? std::min(pair.keys, i + kStrip) : pair.keys,
                        weight + i * kBlock, {kBlock, 1}, from, pair.width, to + i * pair.width,
                        pair.width);
  }
}

template <typename T>
void block_pair(const Inputs& in, const Unit& unit, std::int64_t member, std::int64_t query_block,
                std::int64_t key_block, const Scratch& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t head = unit.kv_head * in.group() + member;
  const std::int64_t first = unit.row.begin + query_block * kBlock;
  const Pair pair{.queries = std::min(kBlock, unit.row.length - query_block * kBlock),
                  .keys = std::min(kBlock, unit.row.length - key_block * kBlock),
                  .head_dim = hd,
                  .width = in.width(),
                  .diagonal = query_block == key_block};
  gather<T>(in.q, first, pair.queries, head * hd, hd, in.shape.scale, s.query, pair.width);
  gather<T>(in.dout, first, pair.queries, head * hd, hd, 1.0F, s.dout, pair.width);
  query_key_product(pair, s.query, s.key_transposed, s.probability);
  query_key_product(pair, s.dout, s.value_transposed, s.dscore);
  softmax_gradient(in, s, unit.row, head, query_block, key_block);
  const std::int64_t block = member * blocks(unit.row.length) + query_block;
  add_to_keys(pair, s.probability, s.dout, s.dvalue);
  add_to_keys(pair, s.dscore, s.query, s.dkey);
  add_to_queries(pair, s.dscore, s.key, s.dquery + block * kBlock * pair.width);
}

template <typename T>
void store_rows(const float* from, std::int64_t width, View to, std::int64_t first,
                std::int64_t count, std::int64_t column, std::int64_t head_dim) {
  for (std::int64_t i = 0; i < count; ++i) {
    T* out = to.row<T>(first + i) + column;
#pragma omp simd
    for (std::int64_t d = 0; d < head_dim; ++d) out[d] = stored<T>(from[i * width + d]);
  }
}

// Key blocks begin, begin + step, ...: their dk and dv whole, and their part of dq in s.dquery.
template <typename T>
void key_blocks_backward(const Inputs& in, const Unit& unit, std::int64_t begin, std::int64_t step,
                         const Scratch& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = in.width();
  const std::int64_t count = blocks(unit.row.length);
  std::fill(s.dquery, s.dquery + in.group() * count * kBlock * width, 0.0F);
  for (std::int64_t b = begin; b < count; b += step) {
    const std::int64_t first = unit.row.begin + b * kBlock;
    const std::int64_t keys = std::min(kBlock, unit.row.length - b * kBlock);
    const std::int64_t column = unit.kv_head * hd;
    gather<T>(in.v, first, keys, column, hd, 1.0F, s.query, width);
    transpose(s.query, width, s.value_transposed);
    gather<T>(in.k, first, keys, column, hd, 1.0F, s.key, width);
    transpose(s.key, width, s.key_transposed);
    std::fill(s.dkey, s.dkey + kBlock * width, 0.0F);
    std::fill(s.dvalue, s.dvalue + kBlock * width, 0.0F);
    const std::int64_t last = last_query_block(b, unit.row.length, in.shape.window);
    for (std::int64_t member = 0; member < in.group(); ++member) {
      for (std::int64_t qb = b; qb <= last; ++qb) block_pair<T>(in, unit, member, qb, b, s);
    }
    store_rows<T>(s.dkey, width, in.dk, first, keys, column, hd);
    store_rows<T>(s.dvalue, width, in.dv, first, keys, column, hd);
  }
}

// dq of one block of one head: the parts of `team` threads in their order, times the scale that the
// scores had.
template <typename T>
void sum_dquery(const Inputs& in, const Unit& unit, std::int64_t member, std::int64_t query_block,
                const float* dquery, std::int64_t each, std::int64_t team) {
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
template <typename T>
void unit_alone(const Inputs& in, const Unit& unit, const Scratch& s) {
  key_blocks_backward<T>(in, unit, 0, 1, s);
  for (std::int64_t member = 0; member < in.group(); ++member) {
    for (std::int64_t b = 0; b < blocks(unit.row.length); ++b) {
      sum_dquery<T>(in, unit, member, b, s.dquery, 0, 1);
    }
  }
}

// One unit by all threads: thread t takes the key blocks t, t + team, ...
template <typename T>
void unit_together(const Inputs& in, const Unit& unit, float* parts, std::int64_t each, int team) {
#pragma omp parallel for schedule(static, 1)
  for (int t = 0; t < team; ++t) {
    Carver carver(parts + t * each);
    key_blocks_backward<T>(in, unit, t, team, carve(carver, in.shape, in.longest));
  }
  Carver carver(parts);
  const Scratch first = carve(carver, in.shape, in.longest);
  const std::int64_t count = blocks(unit.row.length);
#pragma omp parallel for schedule(static)
  for (std::int64_t b = 0; b < in.group() * count; ++b) {
    sum_dquery<T>(in, unit, b / count, b % count, first.dquery, each, team);
  }
}

// With few units all threads share each one; with many each thread takes whole ones, and the result
// is then the same for any number of threads.
template <typename T>
void all_units(const Inputs& in, std::span<const std::int32_t> row_starts, float* parts) {
  const auto rows = static_cast<std::int64_t>(row_starts.size()) - 1;
  const std::int64_t units = rows * in.shape.kv_heads;
  const std::int64_t each = backward_scratch(in.shape, in.longest);
  const int team = omp_get_max_threads();
  const auto unit_at = [&](std::int64_t u) {
    return Unit{row_at(row_starts, u / in.shape.kv_heads), u % in.shape.kv_heads};
  };
  if (units < std::int64_t{4} * team) {
    for (std::int64_t u = 0; u < units; ++u) unit_together<T>(in, unit_at(u), parts, each, team);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1)
  for (std::int64_t u = 0; u < units; ++u) {
    Carver carver(parts + omp_get_thread_num() * each);
    unit_alone<T>(in, unit_at(u), carve(carver, in.shape, in.longest));
  }
}

}  // namespace

std::int64_t backward_scratch(const AttentionShape& shape, std::int64_t longest_row) {
  Carver carver(nullptr);
  carve(carver, shape, longest_row);
  return carver.used();
}

}  // namespace attention

void attention_backward(ConstView dout, ConstView q, ConstView k, ConstView v, ConstView out,
                        std::span<const float> log_sum_exp,
                        std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                        View dq, View dk, View dv, std::span<std::byte> scratch) {
  const KernelTimer timer(Kernel::kAttentionBackward);
  namespace at = attention;
  at::require_inputs(q, k, v, row_starts, shape);
  require_same_shape(q, out, "attention_backward: q and out");
  require_same_shape(q, dout, "attention_backward: q and dout");
  require_same_shape(q, dq, "attention_backward: q and dq");
  require_same_shape(k, dk, "attention_backward: k and dk");
  require_same_shape(k, dv, "attention_backward: k and dv");
  for (const DType type : {dout.dtype, out.dtype, dq.dtype, dk.dtype, dv.dtype}) {
    require(type == q.dtype, "attention_backward: all views must have one type");
  }
  require(static_cast<std::int64_t>(log_sum_exp.size()) >= shape.heads * q.rows,
          "attention_backward: log_sum_exp must be (NH x T)");
  const std::int64_t longest = at::longest_row(row_starts);
  const std::int64_t own = at::backward_scratch(shape, longest) * omp_get_max_threads();
  float* parts = at::aligned_scratch(scratch, own + at::padded(shape.heads * q.rows));
  const at::Inputs in{dout, q, k, v, out, log_sum_exp, shape, dq, dk, dv, parts + own, longest};
  with_storage(q.dtype, "attention", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
    at::fill_delta<T>(in);
    at::all_units<T>(in, row_starts, parts);
  });
}

}  // namespace loadline
