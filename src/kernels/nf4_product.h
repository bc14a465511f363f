// Products with an NF4 matrix: a panel of it is dequantized, multiplied while it is in the cache,
// and forgotten.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/nf4.h"

namespace loadline {

// How many of `outer` rows (or columns) of a matrix, each of `inner` weights, are dequantized at
// once: `outer` itself, or a multiple of 64.
[[nodiscard]] std::int64_t nf4_panel(std::int64_t outer, std::int64_t inner);

struct Nf4Scratch {
  std::span<std::byte> panel;   // panel x inner elements of the compute type
  std::span<std::byte> result;  // T x panel elements of the compute type
};

// Without scratch where tiles make the product (Gemm::run_in_tiles).
// kNT: y (T,N) (+)= x (T,K) · W (N,K)^T. kNN: y (T,K) (+)= x (T,N) · W (N,K). x and y have one
// type. As Gemm::run with the dequantized matrix.
void nf4_product(Gemm& gemm, Product product, ConstView x, const Nf4View& weight, View y,
                 bool accumulate, const Nf4Scratch& scratch);

}  // namespace loadline
