// Private to this room: what a step's settings must hold before it is planned.
#pragma once

#include "checkpoint/config.h"
#include "model/step_plan.h"

namespace loadline {

// Throws Error(kUsage) naming the setting, its value and its range.
void check_step(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape);
void check_quantization(const ModelConfig& model, const StepShape& shape);

}  // namespace loadline
