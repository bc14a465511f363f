#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"

namespace loadline {

// Rotary position embedding (Su et al. 2021) in the Hugging Face layout: element i of a head is
// paired with i + HD/2. x (T, heads x HD) is turned in place; positions (T); cos, sin (positions,
// HD/2) row-major.
void rope_forward(View x, std::int64_t head_dim, std::span<const std::int32_t> positions,
                  std::span<const float> cos, std::span<const float> sin);

// A rotation's gradient is the rotation back, in place.
void rope_backward(View dx, std::int64_t head_dim, std::span<const std::int32_t> positions,
                   std::span<const float> cos, std::span<const float> sin);

}  // namespace loadline
