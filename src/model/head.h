// Final norm, logits and cross-entropy in chunks of rows: the logits never exist whole. Tokens that
// predict nothing are left out.
#pragma once

#include <span>

#include "model/batch.h"
#include "model/layer.h"

namespace loadline {

// The loss of the batch whose last layer's output is in plan.final_x.
BatchLoss head_loss(const Pass& pass, const Batch& batch);
// The same, and plan.backward.dx is the gradient of `weighted` with respect to plan.final_x.
BatchLoss head_loss_and_gradient(const Pass& pass, const Batch& batch);
// The logits (V) of the batch's last token.
void head_last_logits(const Pass& pass, std::span<float> logits);

}  // namespace loadline
