#include "kernels/attention_tiles.h"

#ifdef LOADLINE_TILES

#include "kernels/attention_operands.h"

namespace loadline::attention {
namespace {

using tiles::kSquare;

// What a unit's threads share, block by block. Queries are those of one of the group's heads at a
// time.
struct Packed {
  Bf16Pair* keys;             // (blocks, kBlock, HD)
  Bf16Pair* keys_transposed;  // (blocks, HD, kBlock)
  Bf16Pair* values;           // (blocks, kBlock, HD)
  Bf16Pair* query;            // (blocks, HD, kBlock)
  Bf16Pair* paired_query;     // (blocks, kBlock, HD), rows paired
  Bf16Pair* dout;             // (blocks, HD, kBlock)
  Bf16Pair* paired_dout;      // (blocks, kBlock, HD), rows paired
  float* log_sum;             // (blocks, kBlock) in base 2; infinite behind the row's end
  float* delta;               // (blocks, kBlock)
  float* dkey;                // (blocks, kBlock, HD)
  float* dvalue;              // (blocks, kBlock, HD)
};

struct Scratch {
  Bf16Pair* rows;         // (kBlock, HD), as gathered
  Bf16Pair* paired_rows;  // the same, rows paired
  float* score;           // (kBlock keys, kBlock queries)
  float* dprobability;    // (kBlock keys, kBlock queries)
  Bf16Pair* probability;  // (kBlock keys, kBlock queries), in the first halves of the scores' rows
  Bf16Pair* paired_dscore;  // (kBlock keys, kBlock queries), rows paired, in dprobability's place
  Bf16Pair* dscore;         // (kBlock keys, kBlock queries)
  float* dquery;            // (blocks, HD, kBlock)
};

struct Parts {
  Packed packed;
  Scratch scratch;
};

Parts carve(Carver& carver, const AttentionShape& shape, std::int64_t longest) {
  const std::int64_t width = tiles_width(shape.head_dim);
  const std::int64_t row = blocks(longest) * kBlock;
  const std::int64_t block = kBlock * width / 2;
  Parts parts{};
  Packed& p = parts.packed;
  for (Bf16Pair** packed : {&p.keys, &p.keys_transposed, &p.values, &p.query, &p.paired_query,
                            &p.dout, &p.paired_dout}) {
    *packed = carver.take<Bf16Pair>(row * width / 2);
  }
  p.log_sum = carver.take(row);
  p.delta = carver.take(row);
  p.dkey = carver.take(row * width);
  p.dvalue = carver.take(row * width);
  Scratch& s = parts.scratch;
  s.rows = carver.take<Bf16Pair>(block);
  s.paired_rows = carver.take<Bf16Pair>(block);
  s.score = carver.take(kBlock * kBlock);
  s.dprobability = carver.take(kBlock * kBlock);
  s.probability = reinterpret_cast<Bf16Pair*>(s.score);
  s.paired_dscore = reinterpret_cast<Bf16Pair*>(s.dprobability);
  s.dscore = carver.take<Bf16Pair>(kBlock * kBlock / 2);
  s.dquery = carver.take(row * width);
  return parts;
}

// Two keys and the 32 queries of a square, sixteen of them at a time.
struct KeyPair {
  const float* score;         // of the first key
  const float* dprobability;  // of the first key
  const float* log_sum;
  const float* delta;
  float scale;  // makes scores, or their hyperbolic tangents where they are capped, exponents of 2
  bool capped;
};

struct Weights {
  __m512 probability[2];
  __m512 dscore[2];
};

// Of sixteen queries from q on; those that see the keys are `seen`.
Weights weights_of(const KeyPair& pair, std::int64_t q, const __mmask16 (&seen)[2]) {
  const __m512 log_sum = _mm512_loadu_ps(pair.log_sum + q);
  const __m512 delta = _mm512_loadu_ps(pair.delta + q);
  Weights weights;
  for (int k = 0; k < 2; ++k) {
    const __m512 x = _mm512_loadu_ps(pair.score + k * kBlock + q);
    const __m512 p = vectors::power_of_two(x * pair.scale - log_sum);
    __m512 ds = p * (_mm512_loadu_ps(pair.dprobability + k * kBlock + q) - delta);
    if (pair.capped) ds *= 1.0F - x * x;
    weights.probability[k] = _mm512_maskz_mov_ps(seen[k], p);
    weights.dscore[k] = _mm512_maskz_mov_ps(seen[k], ds);
  }
  return weights;
}

class UnitBackward {
 public:
  UnitBackward(const BackwardInputs& in, const Unit& unit, const Packed& packed)
      : in_(in), unit_(unit), packed_(packed), width_(tiles_width(in.shape.head_dim)) {}

  [[nodiscard]] std::int64_t count() const { return blocks(unit_.row.length); }

  void pack_keys(std::int64_t b, const Scratch& s) const {
    gather(in_.v, b, unit_.kv_head, packed_.values + b * block());
    Bf16Pair* keys = packed_.keys + b * block();
    gather(in_.k, b, unit_.kv_head, keys);
    vectors::pair_rows(kBlock, width_ / 2, keys, s.paired_rows);
    transpose(kBlock / 2, width_, s.paired_rows, width_, packed_.keys_transposed + b * block(),
              kBlock / 2);
    std::fill_n(packed_.dkey + b * kBlock * width_, kBlock * width_, 0.0F);
    std::fill_n(packed_.dvalue + b * kBlock * width_, kBlock * width_, 0.0F);
  }

  void pack_queries(std::int64_t member, std::int64_t b, const Scratch& s) const {
    const auto both = [&](ConstView from, Bf16Pair* transposed, Bf16Pair* paired) {
      gather(from, b, head(member), s.rows);
      transpose(kBlock, width_ / 2, s.rows, width_ / 2, transposed + b * block(), kBlock);
      vectors::pair_rows(kBlock, width_ / 2, s.rows, paired + b * block());
    };
    both(in_.q, packed_.query, packed_.paired_query);
    both(in_.dout, packed_.dout, packed_.paired_dout);
    const std::int64_t offset = head(member) * in_.q.rows + unit_.row.begin + b * kBlock;
    for (std::int64_t i = 0; i < kBlock; ++i) {
      const bool there = i < size_of_block(b);
      packed_.log_sum[b * kBlock + i] =
          there ? in_.log_sum_exp[static_cast<std::size_t>(offset + i)] * vectors::kLog2E
                : std::numeric_limits<float>::infinity();
      packed_.delta[b * kBlock + i] = there ? in_.delta[offset + i] : 0.0F;
    }
  }

  void begin_queries(const Scratch& s) const {
    std::fill_n(s.dquery, count() * kBlock * width_, 0.0F);
  }

  // A key block with all query blocks that see it: adds to its dk and dv, and to dq.
  void key_block(std::int64_t kb, const Scratch& s) const {
    const std::int64_t last = last_query_block(kb, unit_.row.length, in_.shape.window);
    for (std::int64_t qb = kb; qb <= last; ++qb) block_pair(qb, kb, s);
  }

  // dq of one block: the parts of `team` threads in their order, times the scale that the scores
  // had. `first` is the first thread's; the others' are `each` floats apart.
  void store_queries(std::int64_t member, std::int64_t b, float* first, std::int64_t each,
                     std::int64_t team) const {
    float* sum = first + b * kBlock * width_;
    for (std::int64_t t = 1; t < team; ++t) {
      const float* part = sum + t * each;
#pragma omp simd
      for (std::int64_t i = 0; i < kBlock * width_; ++i) sum[i] += part[i];
    }
    std::array<float, kBlock> factor;
    factor.fill(in_.shape.scale);
    store_transposed(sum, factor.data(), in_.dq, unit_.row.begin + b * kBlock, size_of_block(b),
                     head(member) * in_.shape.head_dim, in_.shape.head_dim);
  }

  void store_keys(std::int64_t b) const {
    store_rows(packed_.dkey + b * kBlock * width_, in_.shape.scale, b, in_.dk);
    store_rows(packed_.dvalue + b * kBlock * width_, 1.0F, b, in_.dv);
  }

 private:
  [[nodiscard]] std::int64_t block() const { return kBlock * width_ / 2; }
  [[nodiscard]] std::int64_t head(std::int64_t member) const {
    return unit_.kv_head * in_.group() + member;
  }
  [[nodiscard]] std::int64_t size_of_block(std::int64_t b) const {
    return std::min(kBlock, unit_.row.length - b * kBlock);
  }

  void gather(ConstView from, std::int64_t b, std::int64_t head, Bf16Pair* to) const {
    const std::int64_t hd = in_.shape.head_dim;
    gather_rows<Bf16>(from, unit_.row.begin + b * kBlock, size_of_block(b), head * hd, hd, 1.0F, to,
                      width_);
  }

  void block_pair(std::int64_t qb, std::int64_t kb, const Scratch& s) const {
    const std::int64_t keys = squares(size_of_block(kb));
    const std::int64_t queries = squares(size_of_block(qb));
    const bool diagonal = qb == kb;
    key_query_product(packed_.keys + kb * block(), packed_.query + qb * block(), keys, queries,
                      diagonal, s.score);
    key_query_product(packed_.values + kb * block(), packed_.dout + qb * block(), keys, queries,
                      diagonal, s.dprobability);
    softmax_gradient(qb, kb, keys, queries, s);
    add_to_keys(s.probability, kBlock, packed_.paired_dout + qb * block(), keys, queries, diagonal,
                packed_.dvalue + kb * kBlock * width_);
    add_to_keys(s.dscore, kBlock / 2, packed_.paired_query + qb * block(), keys, queries, diagonal,
                packed_.dkey + kb * kBlock * width_);
    add_to_queries(packed_.keys_transposed + kb * block(), s.paired_dscore, keys, queries, diagonal,
                   s.dquery + qb * kBlock * width_);
  }

  // out (key, query) = left (key, HD) · right (HD, query); squares that no query sees are left out.
  void key_query_product(const Bf16Pair* left, const Bf16Pair* right, std::int64_t keys,
                         std::int64_t queries, bool diagonal, float* out) const {
    for (std::int64_t k = 0; k < keys; ++k) {
      for (std::int64_t q = diagonal ? k : 0; q < queries; ++q) {
        tiles::square<false>(width_ / kSquare, left + k * kSquare * width_ / 2, width_ / 2,
                             right + q * kSquare, kBlock, out + k * kSquare * kBlock + q * kSquare,
                             kBlock);
      }
    }
  }

  // to (key, HD) += weight (key, query) · from (query, HD).
  void add_to_keys(const Bf16Pair* weight, std::int64_t weight_row, const Bf16Pair* from,
                   std::int64_t keys, std::int64_t queries, bool diagonal, float* to) const {
    for (std::int64_t k = 0; k < keys; ++k) {
      const std::int64_t first = diagonal ? k : 0;
      for (std::int64_t d = 0; d < width_; d += kSquare) {
        tiles::square<true>(queries - first,
                            weight + k * kSquare * weight_row + first * tiles::kStep, weight_row,
                            from + first * tiles::kStep * width_ + d, width_,
                            to + k * kSquare * width_ + d, width_);
      }
    }
  }

  // to (HD, query) += from (HD, key) · weight (key, query).
  void add_to_queries(const Bf16Pair* from, const Bf16Pair* weight, std::int64_t keys,
                      std::int64_t queries, bool diagonal, float* to) const {
    for (std::int64_t d = 0; d < width_; d += kSquare) {
      for (std::int64_t q = 0; q < queries; ++q) {
        tiles::square<true>(diagonal ? q + 1 : keys, from + d * kBlock / 2, kBlock / 2,
                            weight + q * kSquare, kBlock, to + d * kBlock + q * kSquare, kBlock);
      }
    }
  }

  // Which of the 16 queries from q on see a key; both count from their block's begin.
  [[nodiscard]] __mmask16 seeing(std::int64_t qb, std::int64_t kb, std::int64_t key,
                                 std::int64_t q) const {
    const std::int64_t window = in_.shape.window;
    if (!needs_mask(qb, kb, window)) return vectors::kAll;
    const std::int64_t from = (kb - qb) * kBlock + key - q;  // the first that sees it
    const auto below = [](std::int64_t end) { return vectors::first_lanes(end); };
    const __mmask16 before_end = window > 0 ? below(from + window) : vectors::kAll;
    return static_cast<__mmask16>(before_end & ~below(from));
  }

  // Scores become probabilities; their gradients, which come in dprobability, become the scores'
  // gradients. What was written over was read before.
  void softmax_gradient(std::int64_t qb, std::int64_t kb, std::int64_t keys, std::int64_t queries,
                        const Scratch& s) const {
    const float cap = in_.shape.softcap;
    if (cap > 0) squash(s.score, in_.shape.scale / cap);
    for (std::int64_t j = 0; j < keys * kSquare; j += 2) {
      const KeyPair pair{.score = s.score + j * kBlock,
                         .dprobability = s.dprobability + j * kBlock,
                         .log_sum = packed_.log_sum + qb * kBlock,
                         .delta = packed_.delta + qb * kBlock,
                         .scale = (cap > 0 ? cap : in_.shape.scale) * vectors::kLog2E,
                         .capped = cap > 0};
      for (std::int64_t q = 0; q < queries * kSquare; q += kSquare) {
        const auto weights = [&](std::int64_t at) {
          return weights_of(pair, at, {seeing(qb, kb, j, at), seeing(qb, kb, j + 1, at)});
        };
        const Weights a = weights(q);
        const Weights b = weights(q + vectors::kLanes);
        for (int k = 0; k < 2; ++k) {
          vectors::store(vectors::joined(a.probability[k], b.probability[k]),
                         s.probability + (j + k) * kBlock + q / 2);
          vectors::store(vectors::joined(a.dscore[k], b.dscore[k]),
                         s.dscore + (j + k) * kBlock / 2 + q / 2);
        }
        Bf16Pair* paired = s.paired_dscore + j / 2 * kBlock + q;
        vectors::store(vectors::paired(a.dscore[0], a.dscore[1]), paired);
        vectors::store(vectors::paired(b.dscore[0], b.dscore[1]), paired + vectors::kLanes);
      }
    }
  }

  void store_rows(const float* from, float factor, std::int64_t b, View to) const {
    const std::int64_t hd = in_.shape.head_dim;
    for (std::int64_t i = 0; i < size_of_block(b); ++i) {
      Bf16* out = to.row<Bf16>(unit_.row.begin + b * kBlock + i) + unit_.kv_head * hd;
#pragma omp simd
      for (std::int64_t d = 0; d < hd; ++d) out[d] = stored<Bf16>(factor * from[i * width_ + d]);
    }
  }

  const BackwardInputs& in_;
  const Unit& unit_;
  Packed packed_;
  std::int64_t width_;
};

}  // namespace

std::int64_t backward_tiles_scratch(const AttentionShape& shape, std::int64_t longest) {
  Carver counting(nullptr);
  carve(counting, shape, longest);
  return counting.used();
}

void backward_by_tiles(const BackwardInputs& in, std::span<const std::int32_t> row_starts,
                       float* parts) {
  const std::int64_t each = backward_tiles_scratch(in.shape, in.longest);
  const auto part = [&](std::int64_t thread) {
    Carver carver(parts + thread * each);
    return carve(carver, in.shape, in.longest);
  };
  const auto alone = [&](const Unit& unit, int thread) {
    const tiles::Session session;
    const Parts mine = part(thread);
    const UnitBackward work(in, unit, mine.packed);
    const Scratch& s = mine.scratch;
    for (std::int64_t b = 0; b < work.count(); ++b) work.pack_keys(b, s);
    for (std::int64_t member = 0; member < in.group(); ++member) {
      for (std::int64_t b = 0; b < work.count(); ++b) work.pack_queries(member, b, s);
      work.begin_queries(s);
      for (std::int64_t b = 0; b < work.count(); ++b) work.key_block(b, s);
      for (std::int64_t b = 0; b < work.count(); ++b) work.store_queries(member, b, s.dquery, 0, 1);
    }
    for (std::int64_t b = 0; b < work.count(); ++b) work.store_keys(b);
  };
  // Thread t takes the key blocks t, t + team, ..., so that the result does not depend on when.
  const auto together = [&](const Unit& unit) {
    const Parts first = part(0);
    const UnitBackward work(in, unit, first.packed);
#pragma omp parallel
    {
      const tiles::Session session;
      const std::int64_t team = omp_get_num_threads();
      const std::int64_t me = omp_get_thread_num();
      const Scratch s = part(me).scratch;
#pragma omp for schedule(static)
      for (std::int64_t b = 0; b < work.count(); ++b) work.pack_keys(b, s);
      for (std::int64_t member = 0; member < in.group(); ++member) {
#pragma omp for schedule(static)
        for (std::int64_t b = 0; b < work.count(); ++b) work.pack_queries(member, b, s);
        work.begin_queries(s);
        for (std::int64_t b = me; b < work.count(); b += team) work.key_block(b, s);
#pragma omp barrier
#pragma omp for schedule(static)
        for (std::int64_t b = 0; b < work.count(); ++b) {
          work.store_queries(member, b, first.scratch.dquery, each, team);
        }
      }
#pragma omp for schedule(static)
      for (std::int64_t b = 0; b < work.count(); ++b) work.store_keys(b);
    }
  };
  for_units(row_starts, in.shape.kv_heads, alone, together);
}

}  // namespace loadline::attention

#endif
