#pragma once

#include <span>

#include "kernels/view.h"

namespace loadline {

// RMSNorm (Zhang and Sennrich 2019): y = factor * x * rstd * weight, rstd = 1 / sqrt(mean(x^2) +
// eps).
// x, y (T,H), each f32 or bf16; weight (H); rstd (T) is kept for the backward.
void rms_norm_forward(ConstView x, std::span<const float> weight, float eps, View y,
                      std::span<float> rstd, float factor = 1);

// dx (T,H) += the gradient through y: dx is the residual stream's gradient, to which it is added.
// weight is frozen. dy, x and dx may differ in type.
void rms_norm_backward(ConstView dy, ConstView x, std::span<const float> weight,
                       std::span<const float> rstd, View dx, float factor = 1);

// The same into dy's own memory, which becomes dx. dy and x have one type.
void rms_norm_backward_in_place(View dy, ConstView x, std::span<const float> weight,
                                std::span<const float> rstd);

}  // namespace loadline
