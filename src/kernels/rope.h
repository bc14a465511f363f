#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"

namespace loadline {

// How a row of heads is turned: of each head the first `turned` elements, the others pass.
struct RopeShape {
  std::int64_t head_dim = 0;
  std::int64_t turned = 0;  // even, at most head_dim
};

// Rotary position embedding (Su et al. 2021) in the Hugging Face layout: element i of a head is
// paired with i + turned/2. x (T, heads x HD) is turned in place; positions (T); cos, sin
// (positions, turned/2) row-major.
void rope_forward(View x, const RopeShape& shape, std::span<const std::int32_t> positions,
                  std::span<const float> cos, std::span<const float> sin);

// A rotation's gradient is the rotation back, in place. (Where cos and sin carry a factor, as
// longrope's do, it is the transpose, which this is too.)
void rope_backward(View dx, const RopeShape& shape, std::span<const std::int32_t> positions,
                   std::span<const float> cos, std::span<const float> sin);

}  // namespace loadline
