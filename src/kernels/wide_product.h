// Products of bf16 and NF4 matrices in f32, for CPUs without bf16 instructions or with slow ones: x
// and a few columns of W at a time are widened, multiplied while they are in a core's own cache,
// and the result is rounded once. Memory keeps bf16, or NF4.
#pragma once

#include <cstdint>
#include <span>

#include "base/fixed_list.h"
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

// Rows of x that are widened at once, where the scratch has room for them; a multiple of
// kWideRowUnit.
constexpr std::int64_t kWideRows = 512;
constexpr std::int64_t kWideRowUnit = 2;  // a single row is slow

struct WideScratch {
  std::span<float> x;       // kWideRowUnit x the widths of all different bf16 x, or more
  std::span<float> panels;  // wide_panel_floats() for each thread
};
[[nodiscard]] std::int64_t wide_panel_floats();

// kNT: x (T,K) · W (N,K)^T. kNN: x (T,K) · W (K,N). kTN: x (T,K)^T · W (T,N). x is bf16, or f32 and
// then read as it is; W is bf16, or `quantized` (not in kTN).
struct WideTerm {
  Product product = Product::kNT;
  ConstView x;
  ConstView w;
  Nf4View quantized;
};
// y (T,N), of kTN (K,N), (+)= factor times the sum of one or more terms, all of kTN or none. y is
// bf16 or, in kTN always, f32.
struct WideSum {
  View y;
  FixedList<WideTerm, 8> terms;
  bool accumulate = false;
  float factor = 1;
};
// Sums that may be made in any order.
using WideStage = FixedList<WideSum, 8>;

// All sums of the same T tokens, stage after stage: an x may be a y of an earlier one; else no y
// overlaps what is read. An x of several terms is widened once. T may be 0. The same bits with any
// number of threads.
void wide_products(std::span<const WideStage> stages, const WideScratch& scratch);

// One product.
void wide_product(Product product, ConstView x, ConstView w, View y, bool accumulate,
                  const WideScratch& scratch);
void wide_product(Product product, ConstView x, const Nf4View& w, View y, bool accumulate,
                  const WideScratch& scratch);

}  // namespace loadline
