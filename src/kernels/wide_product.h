// Products of bf16 and NF4 matrices in f32, for CPUs without bf16 instructions or with slow ones: x
// and a few columns of W at a time are widened, multiplied while they are in a core's own cache,
// and the result is rounded once. Memory keeps bf16, or NF4.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/gemm.h"
#include "kernels/nf4.h"

namespace loadline {

// Where products of bf16 are better made in f32: on CPUs without bf16 instructions, and on Intel's
// with AVX512-BF16 but without usable AMX, of which the one that was measured begins a bf16
// multiplication every second cycle and two f32 ones in each, so half as many products a second
// (docs/performance.md). What oneDNN may use decides, as its own bf16 products are what is avoided.
[[nodiscard]] bool bf16_products_are_slow();
// Whether a step in bf16, with half the memory, is about as fast as one in f32.
[[nodiscard]] bool bf16_pays();

// Rows of x that are widened at once; a multiple of kWideRowUnit.
constexpr std::int64_t kWideRows = 512;
constexpr std::int64_t kWideRowUnit = 2;  // a single row is slow

struct WideScratch {
  std::span<float> x;       // min(T, kWideRows), rounded up to kWideRowUnit, x K
  std::span<float> panels;  // wide_panel_floats() for each thread
};
[[nodiscard]] std::int64_t wide_panel_floats();

// kNT: y (T,N) (+)= x (T,K) · W (N,K)^T. kNN: y (T,N) (+)= x (T,K) · W (K,N). kTN: y (K,N) (+)= x
// (T,K)^T · W (T,N), y in f32. x and W are bf16, or W is NF4 (not in kTN); else y is bf16 or f32;
// it overlaps neither. T may be 0. The same bits with any number of threads.
void wide_product(Product product, ConstView x, ConstView weight, View y, bool accumulate,
                  const WideScratch& scratch);
void wide_product(Product product, ConstView x, const Nf4View& weight, View y, bool accumulate,
                  const WideScratch& scratch);

}  // namespace loadline
