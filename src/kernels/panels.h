// A frozen matrix is multiplied panel by panel where its elements are made for the product: what is
// made stays in the cache meanwhile.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/nf4.h"

namespace loadline {

// How many of `outer` rows (or columns) of a matrix, each of `inner` elements, are made at once:
// `outer` itself, or a multiple of 64, of about `elements` in all.
[[nodiscard]] inline std::int64_t panel_width(std::int64_t outer, std::int64_t inner,
                                              std::int64_t elements) {
  constexpr std::int64_t kUnit = kNf4Block;
  constexpr std::int64_t kNarrowest = 256;  // narrower ones make slow products
  const std::int64_t most = std::max(kNarrowest, elements / inner / kUnit * kUnit);
  if (outer <= most) return outer;
  // Panels of one width compile one product; a smaller last one would compile another.
  for (std::int64_t width = most; width >= kNarrowest; width -= kUnit) {
    if (outer % width == 0) return width;
  }
  return most;
}

}  // namespace loadline
