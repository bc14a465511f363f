// Private to this room: how a StepPlan is made.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/process_bytes.h"
#include "model/rope_table.h"
#include "model/step_plan.h"

namespace loadline {

// Adds buffers in the order in which `loadline plan` shows them.
class Planner {
 public:
  Planner(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape)
      : model_(model),
        lora_(lora),
        shape_(shape),
        first_(model.layers - lora.layers),
        tokens_(shape.tokens),
        rope_positions_(shape.longest_row),
        checkpointing_(shape.checkpointing == ActivationCheckpointing::kOn) {}

  StepPlan run() {
    begin();
    add_slots();
    add_weights();
    add_adapter();
    add_constants();
    add_forward();
    add_head();
    add_backward();
    add_process_lines(model_, shape_, plan_);
    plan_.memory.place();
    return std::move(plan_);
  }

  StepPlan run_forward(std::vector<LoraSlot> slots, std::int64_t positions) {
    rope_positions_ = positions;
    begin();
    const std::int64_t inner = take_slots(std::move(slots));
    add_weights();
    if (plan_.parameters > 0) {
      plan_.adapter.compute =
          add("adapter", "adapter", {plan_.parameters}, shape_.compute, always());
    }
    add_constants();
    add_forward();
    if (inner > 0) share_inner(inner);
    add_last_row();
    return std::move(plan_);
  }

 private:
  void begin() {
    plan_.first_lora_layer = first_;
    plan_.layers.resize(static_cast<std::size_t>(model_.layers));
    for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
      LayerPlan& layer_plan = plan_.layers[static_cast<std::size_t>(layer)];
      layer_plan.attention = attention_of(layer);
      if (model_.has_rope(layer)) {
        layer_plan.rope_first = rope_table_of(model_, layer) * rope_positions_;
      }
    }
  }

  // Ticks.
  [[nodiscard]] int layers() const { return static_cast<int>(model_.layers); }
  [[nodiscard]] static int forward_tick(std::int64_t layer) { return 1 + static_cast<int>(layer); }
  [[nodiscard]] int head_tick() const { return 1 + layers(); }
  [[nodiscard]] int backward_tick(std::int64_t layer) const {
    return 2 * layers() + 1 - static_cast<int>(layer);
  }
  [[nodiscard]] int last_backward() const { return backward_tick(first_); }
  [[nodiscard]] Lifetime always() const { return {0, 2 * layers() + 2}; }
  [[nodiscard]] Lifetime forward_life(Half half) const { return {1, layers(), half}; }
  [[nodiscard]] Lifetime backward_life(Half half) const {
    return {head_tick() + 1, last_backward(), half};
  }

  BufferId add(std::string name, std::string_view phase, std::vector<std::int64_t> dims,
               DType dtype, Lifetime life) {
    return plan_.memory.add(std::move(name), phase, std::move(dims), dtype, life);
  }
  BufferId weight(std::string name, std::int64_t rows, std::int64_t cols) {
    return add(std::move(name), "weights", {rows, cols}, shape_.compute, always());
  }
  // A projection's weights, which may be quantized.
  BufferId linear(std::string name, std::int64_t rows, std::int64_t cols) {
    const DType dtype = quantized() ? DType::kNf4 : shape_.compute;
    return add(std::move(name), "weights", {rows, cols}, dtype, always());
  }
  [[nodiscard]] bool quantized() const { return shape_.quantize == Quantization::kNf4; }
  BufferId vector_weight(std::string name, std::int64_t size) {
    return add(std::move(name), "weights", {size}, DType::kF32, always());
  }
  // (T, cols) in the compute type.
  BufferId activation(std::string name, std::string_view phase, std::int64_t cols, Lifetime life) {
    return add(std::move(name), phase, {tokens_, cols}, shape_.compute, life);
  }

  [[nodiscard]] bool is_target(Projection p) const {
    return std::find(lora_.targets.begin(), lora_.targets.end(), p) != lora_.targets.end();
  }
  // The inputs of these are normed, which the backward makes again.
  [[nodiscard]] bool reads_normed() const {
    if (!model_.input_norms) return false;
    return is_target(Projection::kQ) || is_target(Projection::kK) || is_target(Projection::kV) ||
           is_target(Projection::kQkv) || is_target(Projection::kGate) ||
           is_target(Projection::kUp) || is_target(Projection::kGateUp);
  }
  [[nodiscard]] AttentionShape attention_of(std::int64_t layer) const {
    const double scale = model_.attention_scale > 0
                             ? model_.attention_scale
                             : 1 / std::sqrt(static_cast<double>(model_.head_dim));
    return {.heads = model_.heads,
            .kv_heads = model_.kv_heads,
            .head_dim = model_.head_dim,
            .scale = static_cast<float>(scale),
            .window = model_.window_of(layer),
            .softcap = static_cast<float>(model_.attention_softcap),
            .widen = shape_.widens()};
  }
  [[nodiscard]] std::int64_t qkv_width() const { return model_.q_width() + 2 * model_.kv_width(); }
  [[nodiscard]] std::int64_t inner_width() const {
    return lora_.rank * static_cast<std::int64_t>(lora_.targets.size());
  }

  void add_slots();
  // Returns the widest layer's inner width.
  std::int64_t take_slots(std::vector<LoraSlot> slots);
  void share_inner(std::int64_t width);
  void add_last_row();
  void add_weights();
  LayerWeights layer_weights(std::int64_t layer);
  void add_adapter();
  void add_constants();
  [[nodiscard]] bool frozen_in_tiles() const;
  void add_nf4_scratch();
  [[nodiscard]] std::int64_t pairs_at_once() const;
  void add_wide_scratch();
  void add_forward();
  LayerActivations activations(const std::string& name, std::string_view phase, Lifetime attention,
                               Lifetime mlp);
  LayerActivations shared_forward();
  void add_head();
  void add_backward();
  LayerActivations recomputed();
  [[nodiscard]] GradientNeeds needs_of(std::int64_t layer) const;

  const ModelConfig& model_;
  const LoraSettings& lora_;
  const StepShape& shape_;
  std::int64_t first_;
  std::int64_t tokens_;
  std::int64_t rope_positions_;
  bool checkpointing_;
  StepPlan plan_;
};

}  // namespace loadline
