// Private to this room: out = gate * sigmoid(u(gate)) * up for an activation that can be written
// so.
#pragma once

#include "kernels/exponential.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"
#include "kernels/vectors.h"

namespace loadline {

inline float sigmoid(float x) { return 1.0F / (1.0F + exponential(-x)); }

// An Activation has inner(g) = u(g) and slope(g) = u'(g), of a float or of a vector.
template <typename Activation, typename T>
void gate_row(const T* gate, const T* up, T* out, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = load(gate[i]);
    out[i] = stored<T>(g * sigmoid(Activation::inner(g)) * load(up[i]));
  }
}

// The derivative by g is s + g s (1 - s) u' with s = sigmoid(u). An element is read before its
// place is written.
template <typename Activation, typename T>
void gate_row_gradient(const T* dout, const T* gate, const T* up, T* dgate, T* dup,
                       std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const float d = load(dout[i]);
    const float g = load(gate[i]);
    const float u = load(up[i]);
    const float s = sigmoid(Activation::inner(g));
    dgate[i] = stored<T>(d * u * (s + g * s * (1.0F - s) * Activation::slope(g)));
    dup[i] = stored<T>(d * g * s);
  }
}

#ifdef __AVX512BF16__

// Within 2^-14 of it, which is far less than what bf16 rounds off.
inline __m512 sigmoid(__m512 x) {
  return _mm512_maskz_rcp14_ps(vectors::kAll, 1.0F + vectors::power_of_two(x * -vectors::kLog2E));
}

// Sixteen numbers at a time; the last ones may be fewer.
template <typename Activation>
void gate_row(const Bf16* gate, const Bf16* up, Bf16* out, std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += vectors::kLanes) {
    const __mmask16 there = vectors::first_lanes(count - i);
    const __m512 g = vectors::load(gate + i, there);
    const __m512 u = vectors::load(up + i, there);
    vectors::store(g * sigmoid(Activation::inner(g)) * u, out + i, there);
  }
}

template <typename Activation>
void gate_row_gradient(const Bf16* dout, const Bf16* gate, const Bf16* up, Bf16* dgate, Bf16* dup,
                       std::int64_t count) {
  for (std::int64_t i = 0; i < count; i += vectors::kLanes) {
    const __mmask16 there = vectors::first_lanes(count - i);
    const __m512 d = vectors::load(dout + i, there);
    const __m512 g = vectors::load(gate + i, there);
    const __m512 u = vectors::load(up + i, there);
    const __m512 s = sigmoid(Activation::inner(g));
    vectors::store(d * u * (s + g * s * (1.0F - s) * Activation::slope(g)), dgate + i, there);
    vectors::store(d * g * s, dup + i, there);
  }
}

#endif

template <typename Activation>
void gated_forward(ConstView gate, ConstView up, View out) {
  const KernelTimer timer(Kernel::kGatedActivation);
  require_same_shape(gate, up, "gated unit: gate and up");
  require_same_shape(gate, out, "gated unit: gate and out");
  require(gate.dtype == up.dtype && gate.dtype == out.dtype, "gated unit: one type");
  with_storage(gate.dtype, "gated unit", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (out.rows * out.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < out.rows; ++t) {
      gate_row<Activation>(gate.row<T>(t), up.row<T>(t), out.row<T>(t), out.cols);
    }
  });
}

template <typename Activation>
void gated_backward(ConstView dout, ConstView gate, ConstView up, View dgate, View dup) {
  const KernelTimer timer(Kernel::kGatedActivation);
  require_same_shape(gate, up, "gated unit: gate and up");
  require_same_shape(gate, dout, "gated unit: gate and dout");
  require_same_shape(gate, dgate, "gated unit: gate and dgate");
  require_same_shape(gate, dup, "gated unit: gate and dup");
  require(gate.dtype == up.dtype && gate.dtype == dout.dtype && gate.dtype == dgate.dtype &&
              gate.dtype == dup.dtype,
          "gated unit: one type");
  with_storage(gate.dtype, "gated unit", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (gate.rows * gate.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < gate.rows; ++t) {
      gate_row_gradient<Activation>(dout.row<T>(t), gate.row<T>(t), up.row<T>(t), dgate.row<T>(t),
                                    dup.row<T>(t), gate.cols);
    }
  });
}

}  // namespace loadline
