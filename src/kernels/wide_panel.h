// Private to this room: some columns of a bf16 or NF4 matrix, or of its transposed, in f32.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "kernels/nf4_reader.h"
#include "kernels/storage.h"
#include "kernels/transpose.h"
#include "kernels/view.h"

namespace loadline::wide {

constexpr std::int64_t kColumns = kNf4Block;  // of a panel
constexpr std::int64_t kAhead = 16;           // rows of W that are fetched before they are read
constexpr std::int64_t kStrip = 16;           // rows of W that are transposed at once

// f(count), with 64, which most counts are, as a constant: the compiler then knows the loop's
// length.
template <typename F>
void with_columns(std::int64_t count, F&& f) {
  if (count == kColumns) return f(std::integral_constant<std::int64_t, kColumns>{});
  f(count);
}

// A row's weights in f32. `col` and, but for the last of a row, `count` are multiples of 64.
class Bf16Weights {
 public:
  explicit Bf16Weights(ConstView weight) : weight_(weight) {}
  // The 64 weights of a row from `col` on: rows are too far from each other for the CPU to foresee.
  void fetch(std::int64_t row, std::int64_t col) const {
    constexpr std::int64_t kCacheLine = 32;
    if (row >= weight_.rows) return;
    const Bf16* from = weight_.row<Bf16>(row) + col;
    for (std::int64_t i = 0; i < kColumns; i += kCacheLine) __builtin_prefetch(from + i);
  }
  void read(std::int64_t row, std::int64_t col, std::int64_t count, float* to) const {
    const Bf16* from = weight_.row<Bf16>(row) + col;
    with_columns(count, [&](auto n) {
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) to[i] = load(from[i]);
    });
  }

 private:
  ConstView weight_;
};

class Nf4Weights {
 public:
  explicit Nf4Weights(const Nf4View& weight) : reader_(weight) {}
  void fetch(std::int64_t /*row*/, std::int64_t /*col*/) const {}
  void read(std::int64_t row, std::int64_t col, std::int64_t count, float* to) const {
    reader_.read(row, col / kNf4Block, count / kNf4Block, to);
  }

 private:
  Nf4Reader reader_;
};

// Some columns of the matrix that is multiplied from the right, and some of its inner rows.
struct Part {
  std::int64_t column = 0;
  std::int64_t columns = 0;
  std::int64_t inner = 0;
  std::int64_t depth = 0;
};

// panel (depth, kColumns) = the part of W, or of its transposed; columns beyond the part's are 0.
template <typename Weights>
void widen_transposed(const Weights& weights, const Part& part, float* panel) {
  alignas(64) float rows[kStrip][kColumns] = {};
  for (std::int64_t k = 0; k < part.depth; k += kColumns) {
    const std::int64_t count = std::min(kColumns, part.depth - k);
    for (std::int64_t j = 0; j < part.columns; j += kStrip) {
      for (std::int64_t i = 0; i < kStrip; ++i) {
        if (j + i < part.columns) {
          weights.read(part.column + j + i, part.inner + k, count, rows[i]);
        } else {
          std::fill(rows[i], rows[i] + kColumns, 0.0F);
        }
      }
      transpose(kStrip, kColumns, &rows[0][0], kColumns, panel + k * kColumns + j, kColumns);
    }
  }
}

template <typename Weights>
void widen_as_it_lies(const Weights& weights, const Part& part, float* panel) {
  for (std::int64_t k = 0; k < part.depth; ++k, panel += kColumns) {
    weights.fetch(part.inner + k + kAhead, part.column);
    weights.read(part.inner + k, part.column, part.columns, panel);
    std::fill(panel + part.columns, panel + kColumns, 0.0F);
  }
}

}  // namespace loadline::wide
