// Private to this room: where the parts of a quantized matrix lie, and its weights as numbers, a
// run of blocks at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/nf4.h"
#include "kernels/nf4_block.h"

namespace loadline {

constexpr std::int64_t kNf4BlockBytes = kNf4Block / 2;

inline std::int64_t nf4_groups(std::int64_t blocks) { return (blocks + kNf4Group - 1) / kNf4Group; }

// Byte offsets.
struct Nf4Layout {
  std::int64_t blocks;
  std::int64_t absmax;
  std::int64_t scales;
  std::int64_t mean;
  std::int64_t end;

  Nf4Layout(std::int64_t rows, std::int64_t cols)
      : blocks(rows * (cols / kNf4Block)),
        absmax(blocks * kNf4BlockBytes),
        scales(absmax + (blocks + kAlignment - 1) / kAlignment * kAlignment),
        mean(scales + nf4_groups(blocks) * static_cast<std::int64_t>(sizeof(float))),
        end(mean + static_cast<std::int64_t>(sizeof(float))) {}

 private:
  static constexpr std::int64_t kAlignment = 64;
};

class Nf4Reader {
 public:
  explicit Nf4Reader(const Nf4View& from)
      : codes_(reinterpret_cast<const std::uint8_t*>(from.data)),
        first_row_(from.first_row),
        row_blocks_(from.cols / kNf4Block) {
    const Nf4Layout layout(from.matrix_rows, from.cols);
    absmax_ = codes_ + layout.absmax;
    scales_ = from.data + layout.scales;
    std::memcpy(&mean_, from.data + layout.mean, sizeof mean_);
  }

  // Blocks [block, block + count) of a row.
  template <typename T>
  void read(std::int64_t row, std::int64_t block, std::int64_t count, T* to) const {
    const auto& map = dynamic_map();
    const float* book = nf4_code_book().data();
    const std::int64_t first = block_at(row, block);
    prefetch(first + kRowsAhead * row_blocks_, count);
    for (std::int64_t b = first; b < first + count; ++b, to += kNf4Block) {
      dequantize_block(codes_ + b * kNf4BlockBytes, absmax_of(b, map), book, to);
    }
  }

 private:
  static constexpr std::int64_t kLine = 64;        // bytes of a cache line
  static constexpr std::int64_t kRowsAhead = 16;   // prefetched
  static constexpr std::int64_t kMostAhead = 512;  // bytes of a row; longer runs the hardware
                                                   // foresees

  [[nodiscard]] std::int64_t block_at(std::int64_t row, std::int64_t block) const {
    return (first_row_ + row) * row_blocks_ + block;
  }
  // A column panel reads a few lines of each row, which the hardware does not foresee. Reading
  // ahead past the end is no fault.
  void prefetch(std::int64_t block, std::int64_t count) const {
    const std::uint8_t* begin = codes_ + block * kNf4BlockBytes;
    for (std::int64_t at = 0; at < std::min(count * kNf4BlockBytes, kMostAhead); at += kLine) {
      __builtin_prefetch(begin + at);
    }
    __builtin_prefetch(absmax_ + block);
  }
  [[nodiscard]] float absmax_of(std::int64_t block, const std::array<float, 256>& map) const {
    float scale = 0;
    std::memcpy(&scale, scales_ + block / kNf4Group * static_cast<std::int64_t>(sizeof scale),
                sizeof scale);
    return std::fma(map[absmax_[block]], scale,
                    mean_);  // the same bits with FMA hardware and without
  }

  const std::uint8_t* codes_;
  const std::uint8_t* absmax_ = nullptr;
  const std::byte* scales_ = nullptr;
  float mean_ = 0;
  std::int64_t first_row_;
  std::int64_t row_blocks_;
};

}  // namespace loadline
