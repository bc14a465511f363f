// One decoder layer, forward and backward: RMSNorm, attention, RMSNorm, gated MLP, LoRA on chosen
// projections; what families add to it is in ModelConfig. Products and kernels on views; no element
// is touched here. Shape letters: step_plan.h.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/config.h"
#include "kernels/gemm.h"
#include "model/key_value_cache.h"
#include "model/step_plan.h"
#include "model/workspace.h"

namespace loadline {

// One batch on its way through the model.
struct Pass {
  const ModelConfig& model;
  const StepPlan& plan;
  const Workspace& memory;
  Gemm& gemm;
  std::int64_t tokens = 0;
  std::span<const std::int32_t> row_starts;  // (B + 1)
  std::span<const std::int32_t> positions;   // (T), within the row
  double dropout = 0;                        // LoRA dropout's rate: in training alone
  std::uint64_t dropout_seed = 0;
  const KeyValueCache* cache = nullptr;  // generation: what came before the only row
  bool base_alone = false;               // without LoRA's pairs; for a forward that stays one

  [[nodiscard]] View rows(BufferId id) const { return memory.matrix(id, tokens); }
  [[nodiscard]] std::span<float> column(BufferId id) const { return memory.floats(id, tokens); }
};

// The tokens' embeddings, into the first layer's x.
void embed(const Pass& pass, std::span<const std::int32_t> ids);

// Reads a.x, writes a.x_out and everything between that a holds.
void layer_forward(const Pass& pass, const LayerPlan& layer);

// plan.backward.dx: in the gradient of the layer's output, out that of its input (where needed).
// Adds to the adapter's gradients. gate_up is overwritten.
void layer_backward(const Pass& pass, const LayerPlan& layer);

}  // namespace loadline
