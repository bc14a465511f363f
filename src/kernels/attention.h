#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "kernels/view.h"

namespace loadline {

struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  // heads is a multiple: grouped-query attention (Ainslie et al. 2023)
  std::int64_t head_dim = 0;
  float scale = 0;  // 1 / sqrt(HD)
  std::int64_t window =
      0;  // sliding window: position t sees the last `window` positions, itself included; 0: all
  float softcap = 0;   // scores become cap * tanh(score / cap) before the softmax; 0: they do not
  bool widen = false;  // bf16 data are multiplied in f32 (kernels/wide_product.h)
};

// Causal attention within each row of the batch; row r holds tokens [row_starts[r], row_starts[r +
// 1]). Blocks with an online softmax (Dao et al. 2022): never a (T,T) matrix, memory linear in T.
// q, out (T, NH x HD); k, v (T, NKV x HD); log_sum_exp (NH x T), head-major, is kept for the
// backward. All views have one type, f32 or bf16; sums are in f32. Where the CPU
// multiplies bf16 (AVX512-BF16; with AMX in its tiles) and the shape does not widen, the
// probabilities of bf16 data, and their gradients, are rounded to bf16 before they are multiplied.
// Throws std::logic_error for shapes that do not belong together and for scratch below
// attention_scratch(). A NaN among what a token sees reaches its output.
void attention_forward(ConstView q, ConstView k, ConstView v,
                       std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                       View out, std::span<float> log_sum_exp, std::span<std::byte> scratch);

// Recomputes the probabilities from log_sum_exp. dq, dk, dv are overwritten. Deterministic
// for a number of threads.
void attention_backward(ConstView dout, ConstView q, ConstView k, ConstView v, ConstView out,
                        std::span<const float> log_sum_exp,
                        std::span<const std::int32_t> row_starts, const AttentionShape& shape,
                        View dq, View dk, View dv, std::span<std::byte> scratch);

// Scratch that both need for batches of `dtype` with at most `tokens` tokens, rows of at most
// `longest_row`. It depends on what instructions this CPU has.
Bytes attention_scratch(const AttentionShape& shape, DType dtype, std::int64_t tokens,
                        std::int64_t longest_row, int threads);

}  // namespace loadline
