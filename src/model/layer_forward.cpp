#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

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

float embedding_factor(const ModelConfig& model, DType compute) {
  const auto factor = static_cast<float>(model.embedding_scale);
  const bool rounds = model.rounds_embedding_scale && compute == DType::kBf16;
  return rounds ? bf16_to_float(float_to_bf16(factor)) : factor;
}

}  // namespace

void embed(const Pass& pass, std::span<const std::int32_t> ids) {
  const View x = pass.rows(pass.plan.layers.front().forward.x);
  embedding_forward(pass.memory.matrix(pass.plan.embedding), ids, x);
  if (pass.model.embedding_scale != 1) scale(embedding_factor(pass.model, x.dtype), x);
}

void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  const View input = input_forward(pass, attention_input(layer, a), a.normed);
  const QkvViews projected = qkv_views(pass, a.qkv);
  linears_forward(pass, qkv_linears(pass, layer), a.inner, input,
                  {projected.q, projected.k, projected.v}, Into::kOverwrite);
  const QkvViews qkv = position_qkv(pass, layer, a);
  const View attention = pass.rows(a.attention);
  attend(pass, layer, a, qkv, attention);
  const Residual residual = attention_residual(layer, a);
  const Destination o = open_residual(pass, residual);
  linears_forward(pass, o_linears(pass, layer), a.inner, attention, {o.to}, o.into);
  close_residual(pass, residual, a.normed);
}

void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  const View input = input_forward(pass, mlp_input(layer, a), a.normed);
  const GateUpViews mlp = gate_up_views(pass, a.gate_up);
  linears_forward(pass, gate_up_linears(pass, layer), a.inner, input, {mlp.gate, mlp.up},
                  Into::kOverwrite);
  // For a backward alone the product with down_proj is not made, unless a norm reads it.
  const bool needs_down = a.x_out.exists() || a.down.exists();
  if (!needs_down && layer.slot(Projection::kDown) < 0) return;
  const View gated = pass.rows(a.swiglu);
  gated_unit_forward(pass, mlp, gated);
  const Linears linears = down_linears(pass, layer);
  if (!needs_down) return linears_forward(pass, linears, a.inner, gated, {}, Into::kOverwrite);
  const Residual residual = mlp_residual(layer, a);
  const Destination down = open_residual(pass, residual);
  linears_forward(pass, linears, a.inner, gated, {down.to}, down.into);
  close_residual(pass, residual, a.normed);
}

void layer_forward(const Pass& pass, const LayerPlan& layer) {
  attention_part_forward(pass, layer, layer.forward);
  mlp_part_forward(pass, layer, layer.forward);
}

}  // namespace loadline
