// Products of bf16 matrices in AMX's tiles. Each thread packs some columns of the right side as
// tiles read them, in its core's own cache, and multiplies all tokens with these: most products of
// models' shapes take 1.2 to 1.8 times as long with oneDNN (docs/performance.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "kernels/gemm.h"
#include "kernels/nf4.h"

namespace loadline {

// Scratch of each thread, and as much once more for all.
constexpr Bytes kTilePanel = 1_MiB;

// Whether a product of N columns over an inner dimension K is made here: bf16, kNT or kNN, N and K
// multiples of 32, N at most 524,288 and K 15,360 (what the scratch holds), on a CPU with usable
// tiles and in a build for it.
[[nodiscard]] bool multiplies_in_tiles(Product product, DType in, std::int64_t n, std::int64_t k);

// kNT: y (T,N) = x (T,K) · w (N,K)^T. kNN: y (T,N) = x (T,K) · w (K,N). Where it accumulates, +=.
// y is bf16, rounded once, or f32. T is at least 1; y overlaps neither x nor w. Scratch:
// (threads + 1) x kTilePanel, 64-byte aligned. The same bits with any number of threads.
void tile_product(Product product, ConstView x, ConstView w, View y, bool accumulate,
                  std::span<std::byte> scratch);
// As with the dequantized matrix, of which no more is ever in memory than the packed columns.
void tile_product(Product product, ConstView x, const Nf4View& w, View y, bool accumulate,
                  std::span<std::byte> scratch);

}  // namespace loadline
