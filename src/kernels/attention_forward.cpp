#include <omp.h>

#include "kernels/attention_operands.h"
#include "kernels/attention_softmax.h"
#include "kernels/attention_units.h"
#include "kernels/block_product.h"

namespace loadline::attention {
namespace {

template <typename E>
struct Scratch {
  E* query;       // (HD, kBlock), transposed
  E* key;         // (kBlock, HD)
  E* value;       // (kBlock, HD), rows paired
  E* value_rows;  // (kBlock, HD), before they are paired
  OnlineSoftmax softmax;
  E* probability;  // (kBlock keys, kBlock queries), rows paired; in the scores' place
  float* out;      // (kBlock, HD)
};

template <typename E>
Scratch<E> carve(Carver& carver, std::int64_t width) {
  Scratch<E> s{};
  s.query = carver.take<E>(inner<E>(width) * kBlock);
  s.key = carver.take<E>(kBlock * inner<E>(width));
  s.value = carver.take<E>(kBlock * inner<E>(width));
  s.value_rows = kPairs<E> ? s.key : s.value;
  s.softmax = carve_softmax(carver);
  s.probability = reinterpret_cast<E*>(s.softmax.score);
  s.out = carver.take(kBlock * width);
  return s;
}

// A block of queries, the first at this position of the keys.
struct Queries {
  std::int64_t position = 0;
  std::int64_t count = 0;

  [[nodiscard]] std::int64_t first_key_block(std::int64_t window) const {
    return window <= 0 ? 0 : std::max<std::int64_t>(0, position - window + 1) / kBlock;
  }
  // Whether some query does not see some key of the block of keys from `first`.
  [[nodiscard]] bool some_miss(std::int64_t first, std::int64_t window) const {
    return first + kBlock - 1 > position || (window > 0 && position + kBlock - 1 - first >= window);
  }
};

template <typename E>
void rescale(const Scratch<E>& s, std::int64_t count, std::int64_t width) {
  for (std::int64_t i = 0; i < count; ++i) {
    const float factor = s.softmax.correction[i];
    if (factor == 1.0F) continue;
    float* out = s.out + i * width;
#pragma omp simd
    for (std::int64_t d = 0; d < width; ++d) out[d] *= factor;
  }
}

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
                         s.softmax.score + j * kBlock + first, kBlock);
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

// Scores become exponentials. They are still to be multiplied by a factor in bf16, not in f32.
void exponentials(const Scratch<float>& s, std::int64_t keys, std::int64_t queries, float /*one*/) {
  exponentiate(s.softmax, keys, queries);
}
#ifdef __AVX512BF16__
void exponentials(const Scratch<Bf16Pair>& s, std::int64_t keys, std::int64_t queries,
                  float factor) {
  exponentiate_pairs(s.softmax, keys, queries, factor);
}
#endif

template <typename T, typename E>
void add_key_block(const ForwardInputs& in, const Row& row, std::int64_t head,
                   const Queries& queries, std::int64_t key_block, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  const std::int64_t first = key_block * kBlock;
  const std::int64_t keys = std::min(kBlock, in.past + row.length - first);
  const std::int64_t column = head / (in.shape.heads / in.shape.kv_heads) * hd;
  const bool diagonal = queries.position == first;
  const float cap = in.shape.softcap;
  const float factor = score_factor<E>(in.shape);
  gather_rows<T>(in.v, row.begin + first, keys, column, hd, 1.0F, s.value_rows, width);
  pair_rows(s.value_rows, width, s.value);
  gather_rows<T>(in.k, row.begin + first, keys, column, hd, 1.0F, s.key, width);
  score_block(s, keys, padded(queries.count), hd, diagonal);
  if (cap > 0) cap_scores(s.softmax.score, keys, padded(queries.count), factor, cap);
  if (queries.some_miss(first, in.shape.window)) {
    mask(s.softmax.score, queries.position, first, in.shape.window);
  }
  exponentials(s, keys, padded(queries.count), cap > 0 ? 1.0F : factor);
  rescale(s, queries.count, width);
  add_values(s, keys, queries.count, width, diagonal);
}

template <typename T, typename E>
void store_block(const ForwardInputs& in, std::int64_t first, std::int64_t count, std::int64_t head,
                 const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  for (std::int64_t i = 0; i < count; ++i) {
    const float factor = 1.0F / s.softmax.sum[i];
    T* out = in.out.row<T>(first + i) + head * hd;
#pragma omp simd
    for (std::int64_t d = 0; d < hd; ++d) out[d] = stored<T>(s.out[i * width + d] * factor);
    if (in.log_sum_exp.empty()) continue;
    in.log_sum_exp[static_cast<std::size_t>(head * in.q.rows + first + i)] =
        s.softmax.log_sum_exp(i);
  }
}

template <typename T, typename E>
void query_block_forward(const ForwardInputs& in, const Row& row, std::int64_t head,
                         std::int64_t query_block, const Scratch<E>& s) {
  const std::int64_t hd = in.shape.head_dim;
  const std::int64_t width = padded(hd);
  const std::int64_t first = row.begin + query_block * kBlock;
  const std::int64_t count = std::min(kBlock, row.length - query_block * kBlock);
  const Queries queries{in.past + query_block * kBlock, count};
  gather_rows<T>(in.q, first, count, head * hd, hd, query_factor<E>(in.shape), s.key, width);
  const std::int64_t columns = inner<E>(width);
  transpose(kBlock, columns, s.key, columns, s.query, kBlock);
  std::fill(s.out, s.out + kBlock * width, 0.0F);
  s.softmax.begin();
  const std::int64_t last = (queries.position + count - 1) / kBlock;
  for (std::int64_t b = queries.first_key_block(in.shape.window); b <= last; ++b) {
    add_key_block<T>(in, row, head, queries, b, s);
  }
  store_block<T>(in, first, count, head, s);
}

}  // namespace

std::int64_t forward_scratch(const AttentionShape& shape, DType dtype) {
  Carver counting(nullptr);
  with_operands(dtype, shape, [&](auto /*data*/, auto operand) {
    carve<TypeOf<decltype(operand)>>(counting, padded(shape.head_dim));
  });
  return counting.used();
}

void forward_by_blocks(const ForwardInputs& in, std::span<const std::int32_t> row_starts,
                       float* parts) {
  const std::int64_t each = forward_scratch(in.shape, in.q.dtype);
  const auto rows = static_cast<std::int64_t>(row_starts.size()) - 1;
  const std::int64_t most = blocks(longest_row(row_starts));
  with_operands(in.q.dtype, in.shape, [&](auto data, auto operand) {
    using T = TypeOf<decltype(data)>;
    using E = TypeOf<decltype(operand)>;
    // A block is computed whole by one thread, so the result does not depend on which. The last
    // blocks of a row are the longest work: they go first.
#pragma omp parallel for collapse(3) schedule(dynamic, 1)
    for (std::int64_t back = 0; back < most; ++back) {
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t head = 0; head < in.shape.heads; ++head) {
          const Row row = row_at(row_starts, r);
          const std::int64_t block = most - 1 - back;
          if (block >= blocks(row.length)) continue;
          Carver carver(parts + omp_get_thread_num() * each);
          query_block_forward<T>(in, row, head, block, carve<E>(carver, padded(in.shape.head_dim)));
        }
      }
    }
  });
}

}  // namespace loadline::attention
