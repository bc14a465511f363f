// Memory for the benchmarks: aligned, filled with small numbers that are no denormals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/view.h"

namespace loadline::bench {

class Buffer {
 public:
  Buffer(std::int64_t rows, std::int64_t cols, DType dtype)
      : dtype_(dtype),
        rows_(rows),
        cols_(cols),
        lines_(static_cast<std::size_t>(rows * cols) * size_of(dtype) / sizeof(Line) + 1) {
    for (std::int64_t i = 0; i < rows * cols; ++i) {
      const float value = static_cast<float>(i * 7919 % 1000) / 1000.0F - 0.5F;
      if (dtype == DType::kF32) view().row<float>(0)[i] = value;
      if (dtype == DType::kBf16) view().row<std::uint16_t>(0)[i] = float_to_bf16(value);
    }
  }
  View view() { return {lines_.data(), dtype_, rows_, cols_, cols_}; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };

  DType dtype_;
  std::int64_t rows_, cols_;
  std::vector<Line> lines_;
};

inline DType dtype_of(std::int64_t argument) { return argument == 0 ? DType::kF32 : DType::kBf16; }

}  // namespace loadline::bench
