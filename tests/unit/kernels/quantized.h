// Quantized matrices for the kernels' tests.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#include "kernels/nf4.h"
#include "unit/kernels/matrix.h"

namespace loadline {

struct Quantized {
  std::int64_t rows, cols;
  std::vector<std::byte> bytes;

  Quantized(std::int64_t r, std::int64_t c, const std::vector<float>& values)
      : rows(r), cols(c), bytes(nf4_bytes(r, c).count) {
    std::vector<float> absmax(static_cast<std::size_t>(r * c / kNf4Block));
    Nf4Quantizer quantizer(bytes, r, c, absmax);
    EXPECT_TRUE(quantizer.add(0, values));
    quantizer.finish();
  }
  [[nodiscard]] Nf4View view() const { return {bytes.data(), rows, 0, rows, cols}; }
  [[nodiscard]] Matrix dequantized(DType dtype) const {
    Matrix made(rows, cols, dtype);
    nf4_dequantize(view(), 0, 0, made.view());
    return made;
  }
};

inline std::vector<float> values_of(const Matrix& matrix) {
  std::vector<float> made;
  for (std::int64_t r = 0; r < matrix.rows(); ++r) {
    for (std::int64_t c = 0; c < matrix.cols(); ++c)
      made.push_back(static_cast<float>(matrix.get(r, c)));
  }
  return made;
}

inline Quantized random_weights(std::int64_t rows, std::int64_t cols) {
  return {rows, cols, values_of(Matrix::random(rows, cols, 3, DType::kF32, 0, 0.02))};
}

}  // namespace loadline
