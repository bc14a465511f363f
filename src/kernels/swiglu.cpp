#include "kernels/swiglu.h"

#include "kernels/gated_unit.h"

namespace loadline {
namespace {

// silu(g) = g * sigmoid(g).
struct Silu {
  template <typename V>
  static V inner(V g) {
    return g;
  }
  template <typename V>
  static float slope(V /*g*/) {
    return 1.0F;
  }
};

}  // namespace

void swiglu_forward(ConstView gate, ConstView up, View out) { gated_forward<Silu>(gate, up, out); }

void swiglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup) {
  gated_backward<Silu>(dout, gate, up, dgate, dup);
}

}  // namespace loadline
