// What lives as long as the process: LoRA's slots, weights, adapter, tables and scratch.
#include <fmt/format.h>

#include <algorithm>

#include "kernels/gemm.h"
#include "kernels/nf4_product.h"
#include "kernels/tile_product.h"
#include "kernels/wide_product.h"
#include "model/planner.h"

namespace loadline {

void Planner::add_slots() {
  for (std::int64_t layer = first_; layer < model_.layers; ++layer) {
    LayerPlan& layer_plan = plan_.layers[static_cast<std::size_t>(layer)];
    layer_plan.needs = needs_of(layer);
    std::int64_t inner = 0;
    for (const Projection projection : lora_.targets) {
      const ProjectionShape size = shape_of(model_, projection);
      const std::int64_t a = plan_.parameters;
      const std::int64_t b = a + lora_.rank * size.in;
      layer_plan.slots.at(static_cast<std::size_t>(projection)) =
          static_cast<std::int64_t>(plan_.slots.size());
      plan_.slots.push_back({.layer = layer,
                             .projection = projection,
                             .in = size.in,
                             .out = size.out,
                             .parts = size.parts,
                             .a = a,
                             .b = b,
                             .inner = inner,
                             .rank = lora_.rank,
                             .scale = static_cast<float>(lora_.scale())});
      plan_.parameters = b + lora_.rank * size.out;
      inner += lora_.rank;
    }
  }
}

std::int64_t Planner::take_slots(std::vector<LoraSlot> slots) {
  std::int64_t widest = 0;
  for (const LoraSlot& slot : slots) {
    LayerPlan& layer = plan_.layers.at(static_cast<std::size_t>(slot.layer));
    layer.slots.at(static_cast<std::size_t>(slot.projection)) = &slot - slots.data();
    plan_.parameters = slot.b + slot.rank * slot.out;
    widest = std::max(widest, slot.inner + slot.rank);
  }
  plan_.slots = std::move(slots);
  return widest;
}

GradientNeeds Planner::needs_of(std::int64_t layer) const {
  GradientNeeds needs;
  needs.x = layer > first_;
  needs.qkv = needs.x || is_target(Projection::kQ) || is_target(Projection::kK) ||
              is_target(Projection::kV) || is_target(Projection::kQkv);
  needs.attention = needs.qkv;
  needs.x_mid = needs.attention || is_target(Projection::kO);
  needs.gate_up = needs.x_mid || is_target(Projection::kGate) || is_target(Projection::kUp) ||
                  is_target(Projection::kGateUp);
  needs.swiglu = needs.gate_up;
  return needs;
}

LayerWeights Planner::layer_weights(std::int64_t layer) {
  const std::string name = fmt::format("layer {} weights ", layer);
  LayerWeights w;
  if (model_.input_norms) w.input_norm = vector_weight(name + "input norm", model_.hidden_size);
  w.qkv = linear(name + "q,k,v", qkv_width(), model_.hidden_size);
  if (model_.qkv_bias) w.qkv_bias = vector_weight(name + "q,k,v bias", qkv_width());
  if (model_.qk_norm != QkNorm::kNone) {
    const bool whole = model_.qk_norm == QkNorm::kWhole;
    w.q_norm = vector_weight(name + "q norm", whole ? model_.q_width() : model_.head_dim);
    w.k_norm = vector_weight(name + "k norm", whole ? model_.kv_width() : model_.head_dim);
  }
  w.o = linear(name + "o", model_.hidden_size, model_.q_width());
  if (model_.o_bias) w.o_bias = vector_weight(name + "o bias", model_.hidden_size);
  if (model_.output_norms) w.o_norm = vector_weight(name + "o norm", model_.hidden_size);
  if (model_.input_norms) {
    w.post_norm = vector_weight(name + "post-attention norm", model_.hidden_size);
  }
  w.gate_up = linear(name + "gate,up", 2 * model_.intermediate_size, model_.hidden_size);
  w.down = linear(name + "down", model_.hidden_size, model_.intermediate_size);
  if (model_.mlp_bias) {
    w.gate_up_bias = vector_weight(name + "gate,up bias", 2 * model_.intermediate_size);
    w.down_bias = vector_weight(name + "down bias", model_.hidden_size);
  }
  if (model_.output_norms) w.down_norm = vector_weight(name + "down norm", model_.hidden_size);
  return w;
}

void Planner::add_weights() {
  plan_.embedding = weight("embedding weights", model_.vocab_size, model_.hidden_size);
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    plan_.layers[static_cast<std::size_t>(layer)].weights = layer_weights(layer);
  }
  plan_.final_norm = vector_weight("final norm weights", model_.hidden_size);
  plan_.head = model_.tied_embeddings
                   ? plan_.embedding
                   : weight("head weights", model_.vocab_size, model_.hidden_size);
}

void Planner::add_adapter() {
  const auto flat = [&](const char* name, std::string_view phase, DType dtype) {
    return add(name, phase, {plan_.parameters}, dtype, always());
  };
  AdapterBuffers& adapter = plan_.adapter;
  adapter.parameters = flat("adapter parameters", "adapter", DType::kF32);
  adapter.compute = shape_.compute == DType::kF32
                        ? adapter.parameters
                        : flat("adapter compute copy", "adapter", shape_.compute);
  adapter.gradients = flat("adapter gradients", "adapter", DType::kF32);
  adapter.first_moments = flat("Adam first moments", "optimizer", DType::kF32);
  adapter.second_moments = flat("Adam second moments", "optimizer", DType::kF32);
}

// Whether no product with a frozen projection needs a panel of it in bf16.
bool Planner::frozen_in_tiles() const {
  return shape_.tiles &&
         std::ranges::all_of(frozen_projections(model_), [&](const FrozenProduct& matrix) {
           return multiplies_in_tiles(Product::kNT, shape_.compute, matrix.out, matrix.in) &&
                  multiplies_in_tiles(Product::kNN, shape_.compute, matrix.in, matrix.out);
         });
}

void Planner::add_nf4_scratch() {
  std::int64_t panel = 0;
  std::int64_t width = 0;
  for (const FrozenProduct& matrix : frozen_projections(model_)) {
    const auto direction = [&](std::int64_t outer, std::int64_t inner) {
      const std::int64_t count = nf4_panel(outer, inner);
      panel = std::max(panel, count * inner);
      if (count < outer) width = std::max(width, count);
    };
    direction(matrix.out, matrix.in);
    direction(matrix.in, matrix.out);
  }
  const Lifetime life{1, last_backward()};
  plan_.nf4_panel = add("dequantized panel", "forward", {panel}, shape_.compute, life);
  plan_.nf4_result = activation("panel's product", "forward", width, life);
}

// Products of one input are made together, so a block of tokens wants room for all that they read:
// x and each pair's inner rows, or the outputs' gradients and those of the inner rows. A large
// block has no more than the widest single input needs; what is wider goes in smaller blocks.
void Planner::add_wide_scratch() {
  std::int64_t single = model_.hidden_size;
  for (const FrozenProduct& matrix : frozen_projections(model_)) {
    single = std::max({single, matrix.in, matrix.out});
  }
  const std::int64_t inners = pairs_at_once() * lora_.rank;
  const std::int64_t together =
      std::max({single, qkv_width(), 2 * model_.intermediate_size}) + inners;
  // The head fills a block of tokens up to its own unit.
  constexpr std::int64_t kUnit = std::max(HeadBuffers::kRowUnit, kWideRowUnit);
  const std::int64_t rows = std::min(kWideRows, (tokens_ + kUnit - 1) / kUnit * kUnit);
  const std::int64_t floats = std::min(rows * together, kWideRows * (single + inners));
  const Lifetime life{1, last_backward()};
  plan_.wide_x = add("widened inputs", "forward", {floats}, DType::kF32, life);
  plan_.wide_panels =
      add("widened panels", "forward", {shape_.threads, wide_panel_floats()}, DType::kF32, life);
}

// Pairs on the same input, at most.
std::int64_t Planner::pairs_at_once() const {
  const std::int64_t on_qkv = is_target(Projection::kQ) + is_target(Projection::kK) +
                              is_target(Projection::kV) + is_target(Projection::kQkv);
  const std::int64_t on_gate_up =
      is_target(Projection::kGate) + is_target(Projection::kUp) + is_target(Projection::kGateUp);
  return std::max({on_qkv, on_gate_up, std::int64_t{1}});
}

void Planner::add_constants() {
  const auto tables = std::ssize(ropes_of(model_, rope_positions_));
  const std::vector<std::int64_t> table{tables * rope_positions_, model_.turned() / 2};
  plan_.rope_cos = add("rope cos", "forward", table, DType::kF32, always());
  plan_.rope_sin = add("rope sin", "forward", table, DType::kF32, always());
  plan_.positions = add("positions", "forward", {tokens_}, DType::kI32, always());
  if (shape_.widens()) {
    add_wide_scratch();
  } else {
    const Bytes products = Gemm::scratch_bound(shape_.threads);
    plan_.gemm_scratch = add("product scratch", "forward",
                             {static_cast<std::int64_t>(products.count)}, DType::kU8, always());
    if (quantized() && !frozen_in_tiles()) add_nf4_scratch();
  }
  const Lifetime in_attention{1, last_backward(), Half::kAttention};
  if (lora_.dropout > 0) {
    std::int64_t widest = 0;
    for (const Projection target : lora_.targets) {
      widest = std::max(widest, shape_of(model_, target).in);
    }
    plan_.dropout =
        activation("LoRA dropout", "forward", widest, {forward_tick(first_), last_backward()});
  }
  const Bytes attention = attention_scratch(attention_of(0), shape_.compute, tokens_,
                                            shape_.longest_row, shape_.threads);
  plan_.attention_scratch =
      add("attention scratch", "forward", {static_cast<std::int64_t>(attention.count)}, DType::kU8,
          in_attention);
  if (model_.qk_norm == QkNorm::kNone) return;
  const std::int64_t norms = model_.qk_norm == QkNorm::kWhole ? 2 : model_.heads + model_.kv_heads;
  plan_.normed_qk =
      activation("normed q,k", "forward", model_.q_width() + model_.kv_width(), in_attention);
  plan_.normed_qk_rstd =
      add("normed q,k rstd", "forward", {norms, tokens_}, DType::kF32, in_attention);
}

}  // namespace loadline
