#include "kernels/attention_tiles.h"

#ifdef LOADLINE_TILES

#include "kernels/attention_operands.h"
#include "kernels/attention_softmax.h"

namespace loadline::attention {
namespace {

// A row's keys and values for one head, block by block; the unit's, not a thread's.
struct Packed {
  Bf16Pair* keys;    // (blocks, kBlock, HD)
  Bf16Pair* values;  // (blocks, HD, kBlock)
};

struct Scratch {
  Bf16Pair* rows;         // (kBlock, HD), as gathered
  Bf16Pair* paired_rows;  // the same, rows paired
  Bf16Pair* query;        // (HD, kBlock)
  OnlineSoftmax softmax;
  float* out;  // (HD, kBlock)
};

struct Parts {
  Packed packed;
  Scratch scratch;
};

Parts carve(Carver& carver, const AttentionShape& shape, std::int64_t longest) {
  const std::int64_t width = tiles_width(shape.head_dim);
  const std::int64_t block = kBlock * width / 2;
  Parts parts{};
  parts.packed.keys = carver.take<Bf16Pair>(blocks(longest) * block);
  parts.packed.values = carver.take<Bf16Pair>(blocks(longest) * block);
  parts.scratch.rows = carver.take<Bf16Pair>(block);
  parts.scratch.paired_rows = carver.take<Bf16Pair>(block);
  parts.scratch.query = carver.take<Bf16Pair>(block);
  parts.scratch.softmax = carve_softmax(carver);
  parts.scratch.out = carver.take(kBlock * width);
  return parts;
}

class UnitForward {
 public:
  UnitForward(const ForwardInputs& in, const Unit& unit, const Packed& packed)
      : in_(in), unit_(unit), packed_(packed), width_(tiles_width(in.shape.head_dim)) {}

  [[nodiscard]] std::int64_t key_blocks() const { return blocks(unit_.row.length); }
  [[nodiscard]] std::int64_t query_blocks() const {
    return key_blocks() * (in_.shape.heads / in_.shape.kv_heads);
  }

  void pack(std::int64_t b, const Scratch& s) const {
    const std::int64_t hd = in_.shape.head_dim;
    const auto gather = [&](ConstView from, Bf16Pair* to) {
      gather_rows<Bf16>(from, unit_.row.begin + b * kBlock, size_of_block(b), unit_.kv_head * hd,
                        hd, 1.0F, to, width_);
    };
    gather(in_.k, packed_.keys + b * block());
    gather(in_.v, s.rows);
    vectors::pair_rows(kBlock, width_ / 2, s.rows, s.paired_rows);
    transpose(kBlock / 2, width_, s.paired_rows, width_, packed_.values + b * block(), kBlock / 2);
  }

  // The longest ones first.
  void query_block(std::int64_t index, const Scratch& s) const {
    const std::int64_t group = in_.shape.heads / in_.shape.kv_heads;
    const std::int64_t head = unit_.kv_head * group + index % group;
    const std::int64_t qb = key_blocks() - 1 - index / group;
    gather_rows<Bf16>(in_.q, unit_.row.begin + qb * kBlock, size_of_block(qb),
                      head * in_.shape.head_dim, in_.shape.head_dim, 1.0F, s.rows, width_);
    transpose(kBlock, width_ / 2, s.rows, width_ / 2, s.query, kBlock);
    std::fill(s.out, s.out + kBlock * width_, 0.0F);
    s.softmax.begin();
    for (std::int64_t kb = first_key_block(qb, in_.shape.window); kb <= qb; ++kb) {
      add_key_block(qb, kb, s);
    }
    store(head, qb, s);
  }

 private:
  [[nodiscard]] std::int64_t block() const { return kBlock * width_ / 2; }
  [[nodiscard]] std::int64_t size_of_block(std::int64_t b) const {
    return std::min(kBlock, unit_.row.length - b * kBlock);
  }

  void add_key_block(std::int64_t qb, std::int64_t kb, const Scratch& s) const {
    const std::int64_t keys = squares(size_of_block(kb));
    const std::int64_t queries = squares(size_of_block(qb));
    const bool diagonal = qb == kb;
    const float cap = in_.shape.softcap;
    score(packed_.keys + kb * block(), keys, queries, diagonal, s);
    if (cap > 0) {
      cap_scores(s.softmax.score, keys * tiles::kSquare, queries * tiles::kSquare, in_.shape.scale,
                 cap);
    }
    if (needs_mask(qb, kb, in_.shape.window)) {
      mask(s.softmax.score, qb * kBlock, kb * kBlock, in_.shape.window);
    }
    const bool corrects =
        exponentiate_pairs(s.softmax, keys * tiles::kSquare, queries * tiles::kSquare,
                           cap > 0 ? 1.0F : in_.shape.scale);
    if (corrects) rescale(s);
    add_values(packed_.values + kb * block(), keys, queries, diagonal, s);
  }

  // score = key · query; a diagonal block's squares that no query sees are left as they are.
  void score(const Bf16Pair* key, std::int64_t keys, std::int64_t queries, bool diagonal,
             const Scratch& s) const {
    for (std::int64_t k = 0; k < keys; ++k) {
      for (std::int64_t q = diagonal ? k : 0; q < queries; ++q) {
        tiles::square<false>(width_ / tiles::kSquare, key + k * tiles::kSquare * width_ / 2,
                             width_ / 2, s.query + q * tiles::kSquare, kBlock,
                             s.softmax.score + k * tiles::kSquare * kBlock + q * tiles::kSquare,
                             kBlock);
      }
    }
  }

  // out (HD, query) += value (HD, key) · probability (key, query).
  void add_values(const Bf16Pair* value, std::int64_t keys, std::int64_t queries, bool diagonal,
                  const Scratch& s) const {
    const auto* probability = reinterpret_cast<const Bf16Pair*>(s.softmax.score);
    for (std::int64_t d = 0; d < width_; d += tiles::kSquare) {
      for (std::int64_t q = 0; q < queries; ++q) {
        tiles::square<true>(diagonal ? q + 1 : keys, value + d * kBlock / 2, kBlock / 2,
                            probability + q * tiles::kSquare, kBlock,
                            s.out + d * kBlock + q * tiles::kSquare, kBlock);
      }
    }
  }

  void rescale(const Scratch& s) const {
    const float* correction = s.softmax.correction;
    for (std::int64_t d = 0; d < width_; ++d) {
      float* out = s.out + d * kBlock;
#pragma omp simd
      for (std::int64_t i = 0; i < kBlock; ++i) out[i] *= correction[i];
    }
  }

  void store(std::int64_t head, std::int64_t qb, const Scratch& s) const {
    const std::int64_t first = unit_.row.begin + qb * kBlock;
    const std::int64_t count = size_of_block(qb);
    std::array<float, kBlock> factor;
    for (std::size_t i = 0; i < kBlock; ++i) factor[i] = 1.0F / s.softmax.sum[i];
    store_transposed(s.out, factor.data(), in_.out, first, count, head * in_.shape.head_dim,
                     in_.shape.head_dim);
    for (std::int64_t i = 0; i < count; ++i) {
      in_.log_sum_exp[static_cast<std::size_t>(head * in_.q.rows + first + i)] =
          s.softmax.log_sum_exp(i);
    }
  }

  const ForwardInputs& in_;
  const Unit& unit_;
  Packed packed_;
  std::int64_t width_;
};

}  // namespace

// Sixteen queries and sixteen of a head's columns at a time.
void store_transposed(const float* from, const float* factor, View to, std::int64_t first,
                      std::int64_t count, std::int64_t column, std::int64_t head_dim) {
  __m512 square[vectors::kLanes];
  for (std::int64_t i = 0; i < count; i += vectors::kLanes) {
    const __m512 factors = _mm512_loadu_ps(factor + i);
    for (std::int64_t d = 0; d < head_dim; d += vectors::kLanes) {
      for (std::int64_t r = 0; r < vectors::kLanes; ++r) {
        square[r] = _mm512_loadu_ps(from + (d + r) * kBlock + i) * factors;
      }
      transpose(square);
      const auto columns = static_cast<std::size_t>(std::min(vectors::kLanes, head_dim - d));
      for (std::int64_t r = 0; r < std::min(vectors::kLanes, count - i); ++r) {
        const auto rounded = vectors::rounded_to_bf16(square[r]);
        std::memcpy(to.row<Bf16>(first + i + r) + column + d, &rounded, columns * sizeof(Bf16));
      }
    }
  }
}

std::int64_t forward_tiles_scratch(const AttentionShape& shape, std::int64_t longest) {
  Carver counting(nullptr);
  carve(counting, shape, longest);
  return counting.used();
}

void forward_by_tiles(const ForwardInputs& in, std::span<const std::int32_t> row_starts,
                      float* parts) {
  const std::int64_t longest = longest_row(row_starts);
  const std::int64_t each = forward_tiles_scratch(in.shape, longest);
  const auto part = [&](int thread) {
    Carver carver(parts + thread * each);
    return carve(carver, in.shape, longest);
  };
  const auto alone = [&](const Unit& unit, int thread) {
    const tiles::Session session;
    const Parts mine = part(thread);
    const UnitForward work(in, unit, mine.packed);
    for (std::int64_t b = 0; b < work.key_blocks(); ++b) work.pack(b, mine.scratch);
    for (std::int64_t i = 0; i < work.query_blocks(); ++i) work.query_block(i, mine.scratch);
  };
  const auto together = [&](const Unit& unit) {
    const UnitForward work(in, unit, part(0).packed);
#pragma omp parallel
    {
      const tiles::Session session;
      const Scratch mine = part(omp_get_thread_num()).scratch;
#pragma omp for schedule(static)
      for (std::int64_t b = 0; b < work.key_blocks(); ++b) work.pack(b, mine);
#pragma omp for schedule(dynamic, 1)
      for (std::int64_t i = 0; i < work.query_blocks(); ++i) work.query_block(i, mine);
    }
  };
  for_units(row_starts, in.shape.kv_heads, alone, together);
}

}  // namespace loadline::attention

#endif
