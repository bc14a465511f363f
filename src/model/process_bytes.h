// What a training process holds beside its arena. Calibrated against VmHWM: docs/memory.md.
#pragma once

#include "model/step_plan.h"

namespace loadline {

// Adds the "process" lines to plan.memory; plan.slots and plan.parameters must be there already.
void add_process_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan);

}  // namespace loadline
