#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

void project_qkv(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  const View normed = pass.rows(a.normed);
  const QkvViews qkv = qkv_views(pass, a.qkv);
  const QkvLinears linears = qkv_linears(pass, layer.weights);
  frozen_forward(pass, linears.q, normed, qkv.q, Into::kOverwrite);
  frozen_forward(pass, linears.k, normed, qkv.k, Into::kOverwrite);
  frozen_forward(pass, linears.v, normed, qkv.v, Into::kOverwrite);
  lora_forward(pass, layer, a, Projection::kQ, normed, {qkv.q});
  lora_forward(pass, layer, a, Projection::kK, normed, {qkv.k});
  lora_forward(pass, layer, a, Projection::kV, normed, {qkv.v});
  lora_forward(pass, layer, a, Projection::kQkv, normed, {qkv.q, qkv.k, qkv.v});
}

void project_gate_up(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  const View normed = pass.rows(a.normed);
  const GateUpViews mlp = gate_up_views(pass, a.gate_up);
  const GateUpLinears linears = gate_up_linears(pass, layer.weights);
  frozen_forward(pass, linears.gate, normed, mlp.gate, Into::kOverwrite);
  frozen_forward(pass, linears.up, normed, mlp.up, Into::kOverwrite);
  lora_forward(pass, layer, a, Projection::kGate, normed, {mlp.gate});
  lora_forward(pass, layer, a, Projection::kUp, normed, {mlp.up});
  lora_forward(pass, layer, a, Projection::kGateUp, normed, {mlp.gate, mlp.up});
}

void attend(const Pass& pass, const LayerPlan& layer, const LayerActivations& a,
            const QkvViews& qkv, View attention) {
  if (pass.cache != nullptr) {
    keep_keys_and_values(pass, layer, qkv);
    if (pass.cache->past > 0) return attend_with_cache(pass, layer, qkv.q, attention);
  }
  attention_forward(qkv.q, qkv.k, qkv.v, pass.row_starts, layer.attention, attention,
                    pass.memory.floats(a.log_sum_exp, pass.model.heads * pass.tokens),
                    pass.memory.bytes(pass.plan.attention_scratch));
}

// As the embedding's own type has it: the models were trained with the rounded factor.
float embedding_factor(const ModelConfig& model, DType compute) {
  const auto factor = static_cast<float>(model.embedding_scale);
  return compute == DType::kBf16 ? bf16_to_float(float_to_bf16(factor)) : factor;
}

}  // namespace

void embed(const Pass& pass, std::span<const std::int32_t> ids) {
  const View x = pass.rows(pass.plan.layers.front().forward.x);
  embedding_forward(pass.memory.matrix(pass.plan.embedding), ids, x);
  if (pass.model.embedding_scale != 1) scale(embedding_factor(pass.model, x.dtype), x);
}

void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  norm_forward(pass, layer.weights.input_norm, a.x, a.normed, a.input_rstd);
  project_qkv(pass, layer, a);
  const QkvViews qkv = position_qkv(pass, layer, a);
  const View attention = pass.rows(a.attention);
  attend(pass, layer, a, qkv, attention);
  const Residual residual = attention_residual(layer, a);
  const Destination o = open_residual(pass, residual);
  frozen_forward(pass, whole(pass, layer.weights.o, layer.weights.o_bias), attention, o.to, o.into);
  lora_forward(pass, layer, a, Projection::kO, attention, {o.to});
  close_residual(pass, residual, a.normed);
}

void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  norm_forward(pass, layer.weights.post_norm, a.x_mid, a.normed, a.post_rstd);
  project_gate_up(pass, layer, a);
  // For a backward alone the product with down_proj is not made, unless a norm reads it.
  const bool needs_down = a.x_out.exists() || a.down.exists();
  if (!needs_down && layer.slot(Projection::kDown) < 0) return;
  const View gated = pass.rows(a.swiglu);
  gated_unit_forward(pass, gate_up_views(pass, a.gate_up), gated);
  if (!needs_down) {
    lora_forward(pass, layer, a, Projection::kDown, gated, {});
    return;
  }
  const Residual residual = mlp_residual(layer, a);
  const Destination down = open_residual(pass, residual);
  frozen_forward(pass, whole(pass, layer.weights.down, layer.weights.down_bias), gated, down.to,
                 down.into);
  lora_forward(pass, layer, a, Projection::kDown, gated, {down.to});
  close_residual(pass, residual, a.normed);
}

void layer_forward(const Pass& pass, const LayerPlan& layer) {
  attention_part_forward(pass, layer, layer.forward);
  mlp_part_forward(pass, layer, layer.forward);
}

}  // namespace loadline
