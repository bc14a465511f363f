// The adapter's masters: made from a seed, taken from and given as a checkpoint's adapter.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/adapter.h"
#include "model/step_plan.h"

namespace loadline {

// A uniform in (-1/sqrt(in), 1/sqrt(in)), B zero. Each pair has a stream of its own, from seed,
// layer and projection: it does not depend on which others are trained.
void initialize_parameters(const StepPlan& plan, std::uint64_t seed, std::span<float> parameters);

// Throws Error(kBadInput) naming both values when `adapter` has another rank, alpha, targets or
// layers than `lora`, or tensors of another size.
void copy_from_adapter(const Adapter& adapter, const LoraSettings& lora, const StepPlan& plan,
                       std::span<float> parameters);
Adapter to_adapter(const LoraSettings& lora, const StepPlan& plan,
                   std::span<const float> parameters);

}  // namespace loadline
