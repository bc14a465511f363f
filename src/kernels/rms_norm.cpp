#include "kernels/rms_norm.h"

#include <cmath>

#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

template <typename X, typename Y>
float normalize_row(const X* x, const float* weight, float eps, float factor, Y* y,
                    std::int64_t h) {
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::int64_t i = 0; i < h; ++i) squares += load(x[i]) * load(x[i]);
  const float rstd = 1.0F / std::sqrt(squares / static_cast<float>(h) + eps);
  const float scale = rstd * factor;
#pragma omp simd
  for (std::int64_t i = 0; i < h; ++i) y[i] = stored<Y>(load(x[i]) * scale * weight[i]);
  return rstd;
}

// With g = factor * dy * weight: dx_i = rstd * g_i - x_i * rstd^3 * mean(g * x).
template <typename Y, typename X, typename D>
void add_row_gradient(const Y* dy, const X* x, const float* weight, float rstd, float factor, D* dx,
                      std::int64_t h) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = 0; i < h; ++i) dot += load(dy[i]) * weight[i] * load(x[i]);
  const float scale = rstd * factor;
  const float pull = dot / static_cast<float>(h) * scale * rstd * rstd;
#pragma omp simd
  for (std::int64_t i = 0; i < h; ++i) {
    dx[i] = stored<D>(load(dx[i]) + (scale * load(dy[i]) * weight[i] - pull * load(x[i])));
  }
}

// The same over dy: an element is read before its place is written.
template <typename T>
void turn_row_gradient(T* dy, const T* x, const float* weight, float rstd, std::int64_t h) {
  float dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t i = 0; i < h; ++i) dot += load(dy[i]) * weight[i] * load(x[i]);
  const float pull = dot / static_cast<float>(h) * rstd * rstd * rstd;
#pragma omp simd
  for (std::int64_t i = 0; i < h; ++i) {
    dy[i] = stored<T>(rstd * load(dy[i]) * weight[i] - pull * load(x[i]));
  }
}

void require_sizes(std::span<const float> weight, std::span<const float> rstd, ConstView x) {
  require(static_cast<std::int64_t>(weight.size()) == x.cols, "rms_norm: weight must be (H)");
  require(static_cast<std::int64_t>(rstd.size()) >= x.rows, "rms_norm: rstd must be (T)");
}

}  // namespace

void rms_norm_forward(ConstView x, std::span<const float> weight, float eps, View y,
                      std::span<float> rstd, float factor) {
  const KernelTimer timer(Kernel::kRmsNorm);
  require_same_shape(x, y, "rms_norm_forward: x and y");
  require_sizes(weight, rstd, x);
  with_storage(x.dtype, "rms_norm x", [&](auto in) {
    with_storage(y.dtype, "rms_norm y", [&](auto out) {
#pragma omp parallel for schedule(static) if (x.rows * x.cols >= kWorthThreads)
      for (std::int64_t t = 0; t < x.rows; ++t) {
        rstd[static_cast<std::size_t>(t)] =
            normalize_row(x.row<TypeOf<decltype(in)>>(t), weight.data(), eps, factor,
                          y.row<TypeOf<decltype(out)>>(t), x.cols);
      }
    });
  });
}

void rms_norm_backward(ConstView dy, ConstView x, std::span<const float> weight,
                       std::span<const float> rstd, View dx, float factor) {
  const KernelTimer timer(Kernel::kRmsNorm);
  require_same_shape(dy, x, "rms_norm_backward: dy and x");
  require_same_shape(dx, x, "rms_norm_backward: dx and x");
  require_sizes(weight, rstd, x);
  with_storage(dy.dtype, "rms_norm dy", [&](auto from) {
    with_storage(x.dtype, "rms_norm x", [&](auto in) {
      with_storage(dx.dtype, "rms_norm dx", [&](auto to) {
#pragma omp parallel for schedule(static) if (x.rows * x.cols >= kWorthThreads)
        for (std::int64_t t = 0; t < x.rows; ++t) {
          add_row_gradient(dy.row<TypeOf<decltype(from)>>(t), x.row<TypeOf<decltype(in)>>(t),
                           weight.data(), rstd[static_cast<std::size_t>(t)], factor,
                           dx.row<TypeOf<decltype(to)>>(t), x.cols);
        }
      });
    });
  });
}

void rms_norm_backward_in_place(View dy, ConstView x, std::span<const float> weight,
                                std::span<const float> rstd) {
  const KernelTimer timer(Kernel::kRmsNorm);
  require_same_shape(dy, x, "rms_norm_backward_in_place: dy and x");
  require_sizes(weight, rstd, x);
  require(dy.dtype == x.dtype, "rms_norm_backward_in_place: dy and x must have one type");
  with_storage(x.dtype, "rms_norm x", [&](auto storage) {
    using T = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (x.rows * x.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < x.rows; ++t) {
      turn_row_gradient(dy.row<T>(t), x.row<T>(t), weight.data(), rstd[static_cast<std::size_t>(t)],
                        x.cols);
    }
  });
}

}  // namespace loadline
