// Matrix products: on oneDNN, which no other file knows, or in AMX's tiles (tile_product.h). Inputs
// f32 or bf16, sums in f32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "kernels/nf4.h"
#include "kernels/view.h"

namespace loadline {

std::string onednn_version();  // "2.6.0", of the library that is loaded

enum class Product : std::uint8_t {
  kNT,  // C (T,N)  = A (T,K) · B (N,K)^T     a linear layer forward; T is cut into blocks
  kNN,  // C (T,N)  = A (T,K) · B (K,N)       its gradient to the input; T is cut into blocks
  kTN,  // C (M,N)  = A (T,M)^T · B (T,N)     its gradient to the weight; T is cut into blocks that
        // accumulate
};

// Runs products over user-owned scratch and keeps one compiled primitive for each block shape. The
// first product with given widths, strides and types compiles every block size that any token count
// can need, so that after one pass of a step over any batch, nothing is compiled or allocated
// again (but for oneDNN's own table of arguments: a few allocations of under 1 KiB, freed on
// return). The same inputs, token count and threads give the same bits. Once use_scratch was
// called, a product after set_threads with fewer compiles anew. Not for concurrent use.
class Gemm {
 public:
  // Products of fewer tokens are oneDNN's even where tiles could make them (tile_product.h).
  explicit Gemm(std::int64_t fewest_in_tiles = 1);
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;
  ~Gemm();

  // The most scratch that any product may ask for with that many threads: a plan line.
  [[nodiscard]] static Bytes scratch_bound(int threads);
  // Must be at least scratch_bound(threads()) and outlive this object; 64-byte aligned.
  void use_scratch(std::span<std::byte> scratch);

  // accumulate: C += instead of C =. Without it a row of C may be written twice, so C must not
  // overlap A or B. kTN into bf16 rounds the sum at each block: gradients want f32. C is f32, or
  // the type of A and B. A and B have one type. T may be 0. Throws std::logic_error for views whose
  // shapes do not belong together, Error(kDoesNotFit) where there is no room to compile a product.
  void run(Product product, ConstView a, ConstView b, View c, bool accumulate);

  // The same with a quantized B, kNT or kNN, where tiles can; false, and nothing done, where not.
  [[nodiscard]] bool run_in_tiles(Product product, ConstView a, const Nf4View& b, View c,
                                  bool accumulate);

  // One shape, a block's where products are cut into blocks, and how often it ran: for measuring a
  // step against its products alone.
  struct Ran {
    Product product = Product::kNT;
    DType in = DType::kF32;
    DType out = DType::kF32;
    bool accumulate = false;
    std::int64_t tokens = 0;
    std::int64_t width = 0;  // N of NT and NN, M of TN
    std::int64_t inner = 0;  // K of NT and NN, N of TN
    std::int64_t times = 0;
  };
  // Since forget_runs(), which must come first.
  [[nodiscard]] std::vector<Ran> ran() const;
  void forget_runs();

  // How many primitives were compiled so far.
  [[nodiscard]] std::size_t compiled() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The compute type that this CPU is fast in: bf16 with AVX512-BF16 or AMX, else f32.
// bf16_supported: oneDNN can.
[[nodiscard]] bool bf16_is_fast();
[[nodiscard]] bool bf16_is_supported();
// AMX: the CPU has tiles for bf16, and the kernel lets this process use them.
[[nodiscard]] bool tiles_are_usable();

}  // namespace loadline
