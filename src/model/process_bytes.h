// What a training process holds beside its arena. Calibrated against VmHWM: docs/memory.md.
#pragma once

#include <vector>

#include "model/step_plan.h"

namespace loadline {

// A product of a layer with a frozen matrix (out, in).
struct FrozenProduct {
  std::int64_t out = 0;
  std::int64_t in = 0;
  bool adds = false;           // the forward's result to what is there
  bool gradient_adds = false;  // the backward's
};
[[nodiscard]] std::vector<FrozenProduct> frozen_projections(const ModelConfig& model);

// Adds the "process" lines to plan.memory; plan.slots and plan.parameters must be there already.
void add_process_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan);

// The same for a plan of generation.
void add_generation_lines(const ModelConfig& model, const StepShape& shape, StepPlan& plan);

}  // namespace loadline
