// Matrices for the kernels' tests: owned, strided, filled from a seed, read as double.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/view.h"

namespace loadline {

class Matrix {
 public:
  // Rows are `gap` elements further apart than they are long; the gap holds a value that no kernel
  // may change.
  Matrix(std::int64_t rows, std::int64_t cols, DType dtype = DType::kF32, std::int64_t gap = 0)
      : dtype_(dtype), rows_(rows), cols_(cols), stride_(cols + gap) {
    const auto count = static_cast<std::size_t>(rows * stride_);
    if (dtype == DType::kF32) f32_.assign(count, kGap);
    if (dtype == DType::kBf16) bf16_.assign(count, float_to_bf16(kGap));
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) set(r, c, 0);
    }
  }
  static Matrix random(std::int64_t rows, std::int64_t cols, std::uint32_t seed,
                       DType dtype = DType::kF32, std::int64_t gap = 0, double size = 1) {
    Matrix made(rows, cols, dtype, gap);
    std::mt19937 bits(seed);
    std::normal_distribution<double> normal(0, size);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < cols; ++c) made.set(r, c, normal(bits));
    }
    return made;
  }

  [[nodiscard]] double get(std::int64_t r, std::int64_t c) const {
    const auto at = static_cast<std::size_t>(r * stride_ + c);
    return static_cast<double>(dtype_ == DType::kF32 ? f32_[at] : bf16_to_float(bf16_[at]));
  }
  void set(std::int64_t r, std::int64_t c, double value) {
    const auto at = static_cast<std::size_t>(r * stride_ + c);
    if (dtype_ == DType::kF32) f32_[at] = static_cast<float>(value);
    if (dtype_ == DType::kBf16) bf16_[at] = float_to_bf16(static_cast<float>(value));
  }
  View view() { return {data(), dtype_, rows_, cols_, stride_}; }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t cols() const { return cols_; }
  [[nodiscard]] bool gaps_untouched() const {
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t c = cols_; c < stride_; ++c) {
        if (get(r, c) != static_cast<double>(kGap)) return false;
      }
    }
    return true;
  }
  // Identical bits, not merely equal numbers.
  friend bool operator==(const Matrix& a, const Matrix& b) {
    return a.rows_ == b.rows_ && a.cols_ == b.cols_ && a.bf16_ == b.bf16_ &&
           std::equal(a.f32_.begin(), a.f32_.end(), b.f32_.begin(), b.f32_.end(), same_bits);
  }

 private:
  static constexpr float kGap = 77.0F;

  static bool same_bits(float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y);
  }
  void* data() {
    return dtype_ == DType::kF32 ? static_cast<void*>(f32_.data())
                                 : static_cast<void*>(bf16_.data());
  }

  DType dtype_;
  std::int64_t rows_, cols_, stride_;
  std::vector<float> f32_;
  std::vector<std::uint16_t> bf16_;
};

// The largest |a - b| / (1 + |b|).
inline double distance(const Matrix& a, const Matrix& b) {
  double worst = a.rows() == b.rows() && a.cols() == b.cols() ? 0 : 1e30;
  for (std::int64_t r = 0; r < a.rows() && worst < 1e30; ++r) {
    for (std::int64_t c = 0; c < a.cols(); ++c) {
      const double gap = std::abs(a.get(r, c) - b.get(r, c)) / (1 + std::abs(b.get(r, c)));
      if (!(gap <= worst)) worst = gap;  // also when it is a NaN
    }
  }
  return worst;
}

// What one rounding to the type may move a value by, with room for a few.
inline double tolerance(DType dtype) { return dtype == DType::kBf16 ? 1.2e-2 : 2e-5; }

}  // namespace loadline
