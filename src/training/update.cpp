#include "training/update.h"

#include <algorithm>
#include <cmath>

#include "kernels/adamw.h"
#include "training/schedule.h"

namespace loadline {
namespace {

// Sums over the effective batch, up to a stop or what is not finite.
BatchLoss accumulate(LoraModel& model, EffectiveBatch& batch,
                     const std::function<bool()>& stop_requested, UpdateResult& result) {
  BatchLoss sums;
  model.zero_gradients();
  for (std::int64_t m = 0; m < batch.micro_batches() && result.finite; ++m) {
    result.is_stopped = m > 0 && stop_requested();
    if (result.is_stopped) return sums;
    const BatchLoss loss = model.forward_backward(batch.micro_batch(m));
    sums.weighted += loss.weighted;
    sums.cross_entropy += loss.cross_entropy;
    sums.targets += loss.targets;
    result.finite = std::isfinite(sums.weighted) && std::isfinite(sums.cross_entropy);
  }
  return sums;
}

}  // namespace

double clip_factor(double grad_norm, double max_grad_norm) {
  if (max_grad_norm <= 0) return 1.0;
  return std::min(1.0, max_grad_norm / (grad_norm + 1e-6));
}

UpdateResult run_update(LoraModel& model, EffectiveBatch& batch, const TrainingSettings& settings,
                        std::int64_t step, const std::function<bool()>& stop_requested) {
  UpdateResult result;
  const BatchLoss sums = accumulate(model, batch, stop_requested, result);
  if (result.is_stopped) return result;
  result.cross_entropy =
      sums.cross_entropy / static_cast<double>(std::max<std::int64_t>(sums.targets, 1));
  // What is reported is a mean over this update's targets, whatever the coefficients divide by.
  const double weighted =
      sums.weighted *
      (batch.divisor() / static_cast<double>(std::max<std::int64_t>(sums.targets, 1)));
  result.distrust = settings.distrust.mode == DistrustMode::kWeighted
                        ? weighted - result.cross_entropy
                        : batch.added_distrust();
  if (!result.finite) return result;
  result.grad_norm = std::sqrt(squared_norm(model.gradients()));
  result.finite = std::isfinite(result.grad_norm) && std::isfinite(result.loss());
  if (!result.finite) return result;
  const AdamW adamw{.learning_rate = static_cast<float>(learning_rate_at(settings, step)),
                    .weight_decay = static_cast<float>(settings.weight_decay),
                    .step = step};
  model.update(adamw, static_cast<float>(clip_factor(result.grad_norm, settings.max_grad_norm)),
               static_cast<float>(settings.lora_plus_ratio));
  return result;
}

}  // namespace loadline
