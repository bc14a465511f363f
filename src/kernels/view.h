// Matrices that somebody else owns. Shape letters used in this room: T tokens of the batch laid end
// to end, H hidden size, NH query heads, NKV key-value heads, HD head size, I intermediate size, V
// vocabulary, R LoRA rank.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace loadline {

// rows x cols elements; consecutive rows are `stride` elements apart (stride >= cols).
struct View {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  // Columns [begin, begin + count) of every row.
  [[nodiscard]] View columns(std::int64_t begin, std::int64_t count) const;
  // Rows [begin, begin + count).
  [[nodiscard]] View slice(std::int64_t begin, std::int64_t count) const;
  // dtype must be T's.
  template <typename T>
  [[nodiscard]] T* row(std::int64_t r) const {
    return static_cast<T*>(data) + r * stride;
  }
};

struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  ConstView() = default;
  ConstView(const View& v)
      : data(v.data), dtype(v.dtype), rows(v.rows), cols(v.cols), stride(v.stride) {}
  ConstView(const void* d, DType t, std::int64_t r, std::int64_t c, std::int64_t s)
      : data(d), dtype(t), rows(r), cols(c), stride(s) {}
  [[nodiscard]] ConstView columns(std::int64_t begin, std::int64_t count) const;
  [[nodiscard]] ConstView slice(std::int64_t begin, std::int64_t count) const;
  template <typename T>
  [[nodiscard]] const T* row(std::int64_t r) const {
    return static_cast<const T*>(data) + r * stride;
  }
};

}  // namespace loadline
