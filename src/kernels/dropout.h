// Dropout whose mask is a function of a key and of an element's place: the backward, and a forward
// that is run again, make it anew, so no mask is ever stored. Whether and how far the threads
// divide the work changes nothing.
#pragma once

#include <cstdint>

#include "kernels/view.h"

namespace loadline {

struct DropoutMask {
  std::uint64_t key = 0;
  // In [0, 1); what is dropped is this share, rounded to a multiple of 2^-16.
  double rate = 0;
};

// y = x / (1 - rate) where the mask keeps an element, else 0. x and y (T,C) of one type.
void dropout_forward(const DropoutMask& mask, ConstView x, View y);
// dx += dy / (1 - rate) where the mask keeps an element.
void dropout_backward(const DropoutMask& mask, ConstView dy, View dx);

}  // namespace loadline
