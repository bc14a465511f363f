#include "kernels/swiglu.h"

#include "kernels/exponential.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

inline float sigmoid(float x) { return 1.0F / (1.0F + exponential(-x)); }

template <typename T>
void gate_row(const T* gate, const T* up, T* out, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = load(gate[i]);
    out[i] = stored<T>(g * sigmoid(g) * load(up[i]));
  }
}

// silu'(g) = s + g s (1 - s) with s = sigmoid(g). An element is read before its place is written.
template <typename T>
void gate_row_gradient(const T* dout, const T* gate, const T* up, T* dgate, T* dup,
                       std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float d = load(dout[i]);
    const float g = load(gate[i]);
    const float u = load(up[i]);
    const float s = sigmoid(g);
    dgate[i] = stored<T>(d * u * (s + g * s * (1.0F - s)));
    dup[i] = stored<T>(d * g * s);
  }
}

}  // namespace

void swiglu_forward(ConstView gate, ConstView up, View out) {
  const KernelTimer timer(Kernel::kGatedActivation);
  require_same_shape(gate, up, "swiglu_forward: gate and up");
  require_same_shape(gate, out, "swiglu_forward: gate and out");
  require(gate.dtype == up.dtype && gate.dtype == out.dtype, "swiglu_forward: one type");
  with_storage(gate.dtype, "swiglu", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (out.rows * out.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < out.rows; ++t) {
      gate_row(gate.row<T>(t), up.row<T>(t), out.row<T>(t), out.cols);
    }
  });
}

void swiglu_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup) {
  const KernelTimer timer(Kernel::kGatedActivation);
  require_same_shape(gate, up, "swiglu_backward: gate and up");
  require_same_shape(gate, dout, "swiglu_backward: gate and dout");
  require_same_shape(gate, dgate, "swiglu_backward: gate and dgate");
  require_same_shape(gate, dup, "swiglu_backward: gate and dup");
  require(gate.dtype == up.dtype && gate.dtype == dout.dtype && gate.dtype == dgate.dtype &&
              gate.dtype == dup.dtype,
          "swiglu_backward: one type");
  with_storage(gate.dtype, "swiglu", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (gate.rows * gate.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < gate.rows; ++t) {
      gate_row_gradient(dout.row<T>(t), gate.row<T>(t), up.row<T>(t), dgate.row<T>(t),
                        dup.row<T>(t), gate.cols);
    }
  });
}

}  // namespace loadline
