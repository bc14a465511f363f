#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"

namespace loadline {

// losses[t] = log(sum(exp(logits[t]))) - logits[t][targets[t]], for a chunk of C tokens: logits
// (C,V) f32. A target of -1 means "not predicted": its loss is 0. log_sum_exp (C) is kept for the
// backward.
void cross_entropy_forward(ConstView logits, std::span<const std::int32_t> targets,
                           std::span<float> losses, std::span<float> log_sum_exp);

// dlogits (C,V), f32 or bf16, = coefficients[t] * (softmax(logits[t]) - onehot(targets[t])); zero
// where target is -1. dlogits may be the memory of logits when it is f32. With a cap, logits are
// what softcap() made, and dlogits is the gradient of what they were before.
void cross_entropy_backward(ConstView logits, std::span<const std::int32_t> targets,
                            std::span<const float> log_sum_exp, std::span<const float> coefficients,
                            View dlogits, float cap = 0);

}  // namespace loadline
