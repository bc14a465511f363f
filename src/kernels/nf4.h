// Frozen weights in 4 bits: NF4 in blocks of 64 with double quantization, as QLoRA defines it
// (Dettmers et al. 2023, sections 3 and appendix E). A block's largest magnitude ("absmax") is kept
// in 8 bits, in groups of 256 blocks, as its distance from the mean of all, on the signed dynamic
// map of Dettmers et al. 2022 (8-bit Optimizers via Block-wise Quantization, section 2.2).
//
// The bytes of a matrix (rows, cols), cols a multiple of 64, blocks along the rows:
//   codes    rows x cols / 2: two weights a byte, the first in the upper half
//   absmax   rows x cols / 64: indices into the dynamic map; padded to a multiple of 64 bytes
//   scales   f32 a group of 256 blocks: the group's largest distance
//   mean     f32
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "kernels/view.h"

namespace loadline {

constexpr std::int64_t kNf4Block = 64;
constexpr std::int64_t kNf4Group = 256;

[[nodiscard]] const std::array<float, 16>& nf4_code_book();
// The 256 values of the dynamic map, rising from -0.9929688 to 1.
[[nodiscard]] const std::array<float, 256>& dynamic_map();

[[nodiscard]] Bytes nf4_bytes(std::int64_t rows, std::int64_t cols);

// Rows [first_row, first_row + rows) of a quantized matrix.
struct Nf4View {
  const std::byte* data = nullptr;  // of the whole matrix
  std::int64_t matrix_rows = 0;
  std::int64_t first_row = 0;
  std::int64_t rows = 0;
  std::int64_t cols = 0;

  [[nodiscard]] Nf4View slice(std::int64_t begin, std::int64_t count) const;
};

// Quantizes a matrix whose rows come in pieces.
class Nf4Quantizer {
 public:
  // into: nf4_bytes(rows, cols); absmax: scratch, one for each block. Both must outlive this.
  Nf4Quantizer(std::span<std::byte> into, std::int64_t rows, std::int64_t cols,
               std::span<float> absmax);
  // values: whole rows, from first_row on. Returns false if one of them is not finite.
  [[nodiscard]] bool add(std::int64_t first_row, std::span<const float> values);
  // After every row was added.
  void finish();

 private:
  std::span<std::byte> into_;
  std::int64_t rows_;
  std::int64_t cols_;
  std::span<float> absmax_;
};

// out (f32 or bf16) = the weights of rows [row, row + out.rows), columns [col, col + out.cols);
// col and out.cols are multiples of 64.
void nf4_dequantize(const Nf4View& from, std::int64_t row, std::int64_t col, View out);

}  // namespace loadline
