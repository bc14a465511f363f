#include "kernels/wide_product.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/panels.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

// 4 MiB of a shared cache.
constexpr std::int64_t kPanelElements = std::int64_t{1} << 20;

View matrix_in(std::span<float> floats, std::int64_t rows, std::int64_t cols) {
  require(static_cast<std::uint64_t>(rows * cols) <= floats.size(),
          "wide_product: too little scratch");
  return {floats.data(), DType::kF32, rows, cols, cols};
}

void widen(ConstView weight, std::int64_t row, std::int64_t col, View panel) {
  copy(weight.slice(row, panel.rows).columns(col, panel.cols), panel);
}
void widen(const Nf4View& weight, std::int64_t row, std::int64_t col, View panel) {
  nf4_dequantize(weight, row, col, panel);
}

template <typename Weight>
void multiply(Gemm& gemm, Product product, ConstView x, const Weight& weight, View y,
              bool accumulate, const WideScratch& scratch) {
  const bool forward = product == Product::kNT;
  require(forward || product == Product::kNN, "wide_product: NT and NN only");
  const std::int64_t outer = forward ? weight.rows : weight.cols;
  const std::int64_t inner = forward ? weight.cols : weight.rows;
  require(y.cols == outer && x.cols == inner && x.rows == y.rows,
          "wide_product: x, weight and y do not belong together");
  const std::int64_t width = wide_panel(outer, inner);
  for (std::int64_t row = 0; row < x.rows; row += kWideRows) {
    const std::int64_t rows = std::min(kWideRows, x.rows - row);
    const View block = matrix_in(scratch.x, rows, inner);
    copy(x.slice(row, rows), block);
    for (std::int64_t begin = 0; begin < outer; begin += width) {
      const std::int64_t count = std::min(width, outer - begin);
      const View panel =
          forward ? matrix_in(scratch.panel, count, inner) : matrix_in(scratch.panel, inner, count);
      widen(weight, forward ? begin : 0, forward ? 0 : begin, panel);
      const View part = y.slice(row, rows).columns(begin, count);
      if (y.dtype == DType::kF32 && y.stride == count && !accumulate) {
        gemm.run(product, block, panel, part, false);
        continue;
      }
      const View result = matrix_in(scratch.result, rows, count);
      gemm.run(product, block, panel, result, false);
      accumulate ? add(result, part) : copy(result, part);
    }
  }
}

}  // namespace

bool bf16_products_are_slow() {
  static const bool kSlow = bf16_is_fast() && !tiles_are_usable() && __builtin_cpu_is("intel") != 0;
  return kSlow;
}

std::int64_t wide_panel(std::int64_t outer, std::int64_t inner) {
  return panel_width(outer, inner, kPanelElements);
}

void wide_product(Gemm& gemm, Product product, ConstView x, ConstView weight, View y,
                  bool accumulate, const WideScratch& scratch) {
  multiply(gemm, product, x, weight, y, accumulate, scratch);
}
void wide_product(Gemm& gemm, Product product, ConstView x, const Nf4View& weight, View y,
                  bool accumulate, const WideScratch& scratch) {
  multiply(gemm, product, x, weight, y, accumulate, scratch);
}

}  // namespace loadline
