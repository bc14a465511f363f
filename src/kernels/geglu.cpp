#include "kernels/geglu.h"

#include "kernels/gated_unit.h"

namespace loadline {
namespace {

// gelu(g) = g / 2 * (1 + tanh(v)) = g * sigmoid(2 v) with v = sqrt(2 / pi) * (g + 0.044715 g^3).
struct GeluTanh {
  static constexpr float kTwice = 1.59576912F;  // 2 sqrt(2 / pi)
  static constexpr float kCubic = 0.044715F;
  template <typename V>
  static V inner(V g) {
    return kTwice * (g + kCubic * g * g * g);
  }
  template <typename V>
  static V slope(V g) {
    return kTwice * (1.0F + 3.0F * kCubic * g * g);
  }
};

}  // namespace

void geglu_forward(ConstView gate, ConstView up, View out) {
  gated_forward<GeluTanh>(gate, up, out);
}

void geglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup) {
  gated_backward<GeluTanh>(dout, gate, up, dgate, dup);
}

}  // namespace loadline
