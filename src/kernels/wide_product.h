// Products of bf16 matrices in f32, for CPUs whose f32 instructions multiply faster than their bf16
// ones: a block of x and a panel of W are widened, multiplied while they are in the cache, and the
// result is rounded once. Memory keeps bf16.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/gemm.h"
#include "kernels/nf4.h"

namespace loadline {

// Intel's CPUs with AVX512-BF16 but without usable AMX: on the one that was measured oneDNN's bf16
// products ran at 0.16 TFLOP/s and its f32 ones at 0.26 (docs/performance.md). What oneDNN may use
// decides, as its own bf16 products are what is avoided.
[[nodiscard]] bool bf16_products_are_slow();

// Rows of x that are widened at once.
constexpr std::int64_t kWideRows = 512;
// How many of `outer` rows (or columns) of W, each of `inner` weights, are widened at once: `outer`
// itself, or a multiple of 64.
[[nodiscard]] std::int64_t wide_panel(std::int64_t outer, std::int64_t inner);

struct WideScratch {
  std::span<float> x;       // min(T, kWideRows) x inner
  std::span<float> panel;   // panel x inner
  std::span<float> result;  // min(T, kWideRows) x panel
};

// kNT: y (T,N) (+)= x (T,K) · W (N,K)^T. kNN: y (T,K) (+)= x (T,N) · W (N,K). x and W are bf16, or
// W is NF4; y is bf16 or f32 and overlaps neither.
void wide_product(Gemm& gemm, Product product, ConstView x, ConstView weight, View y,
                  bool accumulate, const WideScratch& scratch);
void wide_product(Gemm& gemm, Product product, ConstView x, const Nf4View& weight, View y,
                  bool accumulate, const WideScratch& scratch);

}  // namespace loadline
