// One optimizer update.
#pragma once

#include <cstdint>
#include <functional>

#include "model/lora_model.h"
#include "training/effective_batch.h"
#include "training/settings.h"

namespace loadline {

struct UpdateResult {
  double cross_entropy = 0;  // mean over the target tokens, unweighted
  double distrust = 0;       // what is added to it: the loss is their sum
  double grad_norm = 0;      // before clipping
  bool finite = true;        // false: nothing was updated
  bool is_stopped = false;   // true: the same; the figures are of a part of the batch

  [[nodiscard]] double loss() const { return cross_entropy + distrust; }
};

// The factor that brings a gradient of this norm under max_grad_norm, as
// torch.nn.utils.clip_grad_norm_ defines it; 1 when there is nothing to clip.
double clip_factor(double grad_norm, double max_grad_norm);

// Forward and backward over the micro-batches of `batch` (selected for `step`), clipping by the
// norm over all adapter gradients, AdamW. A loss or gradient that is not finite ends it before the
// parameters and moments are touched, and so does stop_requested(), which is asked between
// micro-batches. With `weighted` distrust `distrust` is the weighted mean less the plain one, and
// may be negative.
UpdateResult run_update(
    LoraModel& model, EffectiveBatch& batch, const TrainingSettings& settings, std::int64_t step,
    const std::function<bool()>& stop_requested = [] { return false; });

}  // namespace loadline
