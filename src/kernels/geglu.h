#pragma once

#include "kernels/view.h"

namespace loadline {

// GeGLU (Shazeer 2020): out = gelu(gate) * up, all (T,I) of one type, gelu by its tanh form
// (Hendrycks and Gimpel 2016), "gelu_pytorch_tanh".
void geglu_forward(ConstView gate, ConstView up, View out);

// dgate and dup may be the memory of gate and up.
void geglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup);

}  // namespace loadline
