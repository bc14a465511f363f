#include "model/step_plan.h"

#include "model/planner.h"
#include "model/step_check.h"

namespace loadline {

StepPlan plan_step(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  check_step(model, lora, shape);
  return Planner(model, lora, shape).run();
}

StepPlan plan_forward(const ModelConfig& model, std::vector<LoraSlot> slots, const StepShape& shape,
                      std::int64_t positions) {
  check_quantization(model, shape);
  const LoraSettings none;  // no layer is trained, so that all of them stream
  return Planner(model, none, shape).run_forward(std::move(slots), positions);
}

Lifetime forward_lifetime(const ModelConfig& model) {
  return {0, 2 * static_cast<int>(model.layers) + 2};
}

MemoryPlan plan_memory(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  return plan_step(model, lora, shape).memory;
}

}  // namespace loadline
