#pragma once

#include "checkpoint/weights.h"
#include "model/step_plan.h"
#include "model/workspace.h"

namespace loadline {

// Reads every frozen weight from the files straight into its place, converted to the compute type;
// q, k, v and gate, up go below one another. Names are those of transformers. Throws
// Error(kBadInput) naming the tensor and both shapes, or a tensor of a layer that the model has
// not.
void load_frozen_weights(const WeightFiles& files, const ModelConfig& model, const StepPlan& plan,
                         const Workspace& memory);

// Throws as loading does, without reading a value or taking memory: the files do not fit the model.
void require_frozen_weights(const WeightFiles& files, const ModelConfig& model);

// Random matrices of a trained model's size (0.02), norms 1, biases 0.
void generate_frozen_weights(std::uint64_t seed, const StepPlan& plan, const Workspace& memory);

}  // namespace loadline
