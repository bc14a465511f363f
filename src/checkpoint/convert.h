// Element types into one another: how f32, f16 and bf16 weights become what the engine computes in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace loadline {

// IEEE 754 binary16; subnormals, infinities and NaNs included.
float f16_to_float(std::uint16_t bits);
// Rounds to nearest, ties to even; 65520 and above become infinite.
std::uint16_t float_to_f16(float value);

// Whether `convert` can do it: among f32, f16 and bf16.
bool can_convert(DType from, DType to);

// Converts each element of `in`; rounds to nearest, ties to even. `out` must have room for
// exactly as many elements, and neither needs to be aligned. Requires can_convert(from, to).
void convert(DType from, std::span<const std::byte> in, DType to, std::span<std::byte> out);

}  // namespace loadline
