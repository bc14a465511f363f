#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "kernels/attention.h"
#include "kernels/view.h"

namespace loadline {

// Attention of the last T of P positions over all that each of them sees: query t stands at
// position P - T + t. Few queries read their keys once each, for all heads of a group; many work in
// the blocks of attention.h. q, out (T, NH x HD); k, v (P, NKV x HD). One type, f32 or bf16; sums
// are in f32. Throws std::logic_error for shapes that do not belong together and for too little
// scratch. The same inputs give the same bits whatever the threads.
void cached_attention_forward(ConstView q, ConstView k, ConstView v, const AttentionShape& shape,
                              View out, std::span<std::byte> scratch);

// Scratch for P up to `positions`.
Bytes cached_attention_scratch(const AttentionShape& shape, DType dtype, std::int64_t positions,
                               int threads);

}  // namespace loadline
