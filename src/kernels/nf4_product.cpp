#include "kernels/nf4_product.h"

#include <algorithm>

#include "kernels/elementwise.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

constexpr std::int64_t kUnit = kNf4Block;
// A panel of bf16 takes 4 MiB of a shared cache; narrower ones than 256 make slow products.
constexpr std::int64_t kPanelElements = std::int64_t{2} << 20;
constexpr std::int64_t kNarrowest = 256;

View matrix_in(std::span<std::byte> bytes, DType dtype, std::int64_t rows, std::int64_t cols) {
  require(static_cast<std::uint64_t>(rows * cols) * size_of(dtype) <= bytes.size(),
          "nf4_product: too little scratch");
  return {bytes.data(), dtype, rows, cols, cols};
}

}  // namespace

std::int64_t nf4_panel(std::int64_t outer, std::int64_t inner) {
  const std::int64_t most = std::max(kNarrowest, kPanelElements / inner / kUnit * kUnit);
  if (outer <= most) return outer;
  // Panels of one width compile one product; a smaller last one would compile another.
  for (std::int64_t width = most; width >= kNarrowest; width -= kUnit) {
    if (outer % width == 0) return width;
  }
  return most;
}

void nf4_product(Gemm& gemm, Product product, ConstView x, const Nf4View& weight, View y,
                 bool accumulate, const Nf4Scratch& scratch) {
  const bool forward = product == Product::kNT;
  require(forward || product == Product::kNN, "nf4_product: NT and NN only");
  const std::int64_t outer = forward ? weight.rows : weight.cols;
  const std::int64_t inner = forward ? weight.cols : weight.rows;
  require(y.cols == outer && x.cols == inner && x.dtype == y.dtype,
          "nf4_product: x, weight and y do not belong together");
  if (gemm.run_in_tiles(product, x, weight, y, accumulate)) return;
  const std::int64_t width = nf4_panel(outer, inner);
  for (std::int64_t begin = 0; begin < outer; begin += width) {
    const std::int64_t count = std::min(width, outer - begin);
    const View panel = forward ? matrix_in(scratch.panel, x.dtype, count, inner)
                               : matrix_in(scratch.panel, x.dtype, inner, count);
    nf4_dequantize(weight, forward ? begin : 0, forward ? 0 : begin, panel);
    if (count == outer) {
      gemm.run(product, x, panel, y, accumulate);
      return;
    }
    // oneDNN's fast bf16 products write no strided result.
    const View result = matrix_in(scratch.result, y.dtype, y.rows, count);
    const View part = y.columns(begin, count);
    if (accumulate) copy(part, result);
    gemm.run(product, x, panel, result, accumulate);
    copy(result, part);
  }
}

}  // namespace loadline
