#include "kernels/swiglu.h"

#include "kernels/gated_unit.h"

namespace loadline {
namespace {

// silu(g) = g * sigmoid(g).
struct Silu {
  static float inner(float g) { return g; }
  static float slope(float /*g*/) { return 1.0F; }
};

}  // namespace

void swiglu_forward(ConstView gate, ConstView up, View out) { gated_forward<Silu>(gate, up, out); }

void swiglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup) {
  gated_backward<Silu>(dout, gate, up, dgate, dup);
}

}  // namespace loadline
