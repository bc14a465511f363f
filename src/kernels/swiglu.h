#pragma once

#include "kernels/view.h"

namespace loadline {

// SwiGLU (Shazeer 2020): out = silu(gate) * up, all (T,I) of one type.
void swiglu_forward(ConstView gate, ConstView up, View out);

// dgate and dup may be the memory of gate and up.
void swiglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup);

}  // namespace loadline
