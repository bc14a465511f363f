// Private to this room: what attention's forward and backward share. Rows are cut into blocks of
// kBlock tokens; a block of one head is gathered into f32 scratch, its columns padded with zeros.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/attention.h"
#include "kernels/storage.h"
#include "kernels/transpose.h"

namespace loadline::attention {

constexpr std::int64_t kBlock = 64;
constexpr std::int64_t kStrip =
    16;  // a diagonal block's triangle is cut into strips of this height
constexpr std::int64_t kLanes = 16;  // columns of a gathered block are a multiple of this

inline std::int64_t padded(std::int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
// Rows of a product: the few beyond a short block are zeros, and cheaper than odd ones.
inline std::int64_t whole_rows(std::int64_t n) { return (n + 7) / 8 * 8; }
inline std::int64_t blocks(std::int64_t length) { return (length + kBlock - 1) / kBlock; }

// Tokens [begin, begin + length) of the batch.
struct Row {
  std::int64_t begin = 0;
  std::int64_t length = 0;
};

inline Row row_at(std::span<const std::int32_t> row_starts, std::int64_t r) {
  const auto at = static_cast<std::size_t>(r);
  return {row_starts[at], row_starts[at + 1] - row_starts[at]};
}

// Hands out consecutive parts of a thread's scratch, each on a cache line of its own. Without
// memory it only counts.
class Carver {
 public:
  explicit Carver(float* begin) : begin_(begin) {}
  template <typename E = float>
  E* take(std::int64_t count) {
    static_assert(sizeof(E) == sizeof(float));
    float* part = begin_ == nullptr ? nullptr : begin_ + used_;
    used_ += padded(count);
    return reinterpret_cast<E*>(part);
  }
  [[nodiscard]] std::int64_t used() const { return used_; }

 private:
  float* begin_;
  std::int64_t used_ = 0;
};

// The first key block that a query block sees under the window, and the last query block that sees
// a key block.
inline std::int64_t first_key_block(std::int64_t query_block, std::int64_t window) {
  if (window <= 0) return 0;
  return std::max<std::int64_t>(0, query_block * kBlock - window + 1) / kBlock;
}
inline std::int64_t last_query_block(std::int64_t key_block, std::int64_t length,
                                     std::int64_t window) {
  const std::int64_t last = blocks(length) - 1;
  if (window <= 0) return last;
  return std::min(last, (key_block * kBlock + kBlock - 1 + window - 1) / kBlock);
}

// Whether some query of the block does not see some key of the block.
inline bool needs_mask(std::int64_t query_block, std::int64_t key_block, std::int64_t window) {
  if (query_block == key_block) return true;
  return window > 0 && query_block * kBlock + kBlock - 1 - key_block * kBlock >= window;
}

// One head's columns of `count` tokens from `first`, times factor, as (kBlock, width) f32; the rest
// is zero.
template <typename T>
void gather(ConstView from, std::int64_t first, std::int64_t count, std::int64_t column,
            std::int64_t head_dim, float factor, float* to, std::int64_t width) {
  for (std::int64_t i = 0; i < kBlock; ++i) {
    float* out = to + i * width;
    std::int64_t d = 0;
    if (i < count) {
      const T* in = from.row<T>(first + i) + column;
#pragma omp simd
      for (std::int64_t e = 0; e < head_dim; ++e) out[e] = factor * load(in[e]);
      d = head_dim;
    }
    std::fill(out + d, out + width, 0.0F);
  }
}

void require_inputs(ConstView q, ConstView k, ConstView v, std::span<const std::int32_t> row_starts,
                    const AttentionShape& shape);
std::int64_t longest_row(std::span<const std::int32_t> row_starts);
// The first aligned float of scratch; throws when fewer than `needed` floats follow it.
float* aligned_scratch(std::span<std::byte> scratch, std::int64_t needed);

}  // namespace loadline::attention
