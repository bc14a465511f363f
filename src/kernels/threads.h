// The OpenMP team, oneDNN's and ours.
#pragma once

namespace loadline {

// Its threads are started at once. Throws Error(kDoesNotFit) where there is no room for their
// stacks.
void set_threads(int count);
[[nodiscard]] int threads();

}  // namespace loadline
