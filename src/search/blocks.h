// Memory that is taken in blocks: peaks are then multiples of a block, and the steps between them
// follow no line.
#pragma once

#include <vector>

namespace loadline {

struct Blocks {
  double size = 0;   // in the unit of the peaks; 0: none
  double noise = 0;  // relative deviation of a peak from its multiple
  // How much likelier the peaks are with these blocks than without, as a logarithm; what was given
  // away by choosing the size after seeing the peaks is taken off.
  double log_support = 0;
};

// The sizes that explain the peaks better than chance would, the best first; at most `limit`.
// Two peaks explain nothing.
// Without blocks the peaks are foreseen to about `spread`: blocks wider than that explain no more.
std::vector<Blocks> likely_blocks(const std::vector<double>& peaks, double spread,
                                  std::size_t limit);

}  // namespace loadline
