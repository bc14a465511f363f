#include "kernels/attention.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

// A gradient's view where it is needed, else "none".
View where(bool needed, View view) { return needed ? view : View{}; }

// What a group of linear layers read, made again for its pairs, or "none" where there are none.
View normed_again(const Pass& pass, const Linears& linears, BufferId weight, BufferId x,
                  BufferId normed, BufferId rstd) {
  if (linears.pairs.empty()) return {};
  norm_forward(pass, weight, x, normed, rstd);
  return pass.rows(normed);
}

// From the gradient of the MLP's output to that of gate and up, which take the place of gate and
// up.
void swiglu_part_backward(const Pass& pass, const LayerPlan& layer) {
  const BackwardScratch& scratch = pass.plan.backward;
  const LayerActivations& a = layer.backward;
  const View d_down = residual_gradient(pass, mlp_residual(layer, a), scratch.d_normed);
  const View d_swiglu = pass.rows(scratch.d_swiglu);
  const GateUpViews mlp = gate_up_views(pass, a.gate_up);
  const Linears linears = down_linears(pass, layer);
  View swiglu;
  if (!linears.pairs.empty()) {
    swiglu = pass.rows(a.swiglu);
    gated_unit_forward(pass, mlp, swiglu);
  }
  linears_backward(pass, linears, a.inner, {d_down}, swiglu, where(layer.needs.swiglu, d_swiglu));
  if (layer.needs.gate_up) gated_unit_backward(pass, d_swiglu, mlp);
}

void mlp_part_backward(const Pass& pass, const LayerPlan& layer) {
  swiglu_part_backward(pass, layer);
  if (!layer.needs.gate_up) return;
  const BackwardScratch& scratch = pass.plan.backward;
  const LayerActivations& a = layer.backward;
  const GateUpViews gradient = gate_up_views(pass, a.gate_up);
  const Linears linears = gate_up_linears(pass, layer);
  linears_backward(
      pass, linears, a.inner, {gradient.gate, gradient.up},
      normed_again(pass, linears, layer.weights.post_norm, a.x_mid, a.normed, a.post_rstd),
      where(layer.needs.x_mid, pass.rows(scratch.d_normed)));
  if (layer.needs.x_mid) {
    norm_backward(pass, layer.weights.post_norm, scratch.d_normed, a.x_mid, a.post_rstd,
                  scratch.dx);
  }
}

// From the gradient after attention to that of q, k and v before rope.
void attention_to_qkv_backward(const Pass& pass, const LayerPlan& layer) {
  const BackwardScratch& scratch = pass.plan.backward;
  const LayerActivations& a = layer.backward;
  const View d_o = residual_gradient(pass, attention_residual(layer, a), scratch.d_normed);
  const View attention = pass.rows(a.attention);
  const View d_attention = where(layer.needs.attention, pass.rows(scratch.d_attention));
  linears_backward(pass, o_linears(pass, layer), a.inner, {d_o}, attention, d_attention);
  if (!layer.needs.qkv) return;
  const QkvViews qkv = pass.model.qk_norm ? position_qkv(pass, layer, a) : qkv_views(pass, a.qkv);
  const QkvViews gradient = qkv_views(pass, scratch.d_qkv);
  attention_backward(d_attention, qkv.q, qkv.k, qkv.v, attention,
                     pass.memory.floats(a.log_sum_exp, pass.model.heads * pass.tokens),
                     pass.row_starts, layer.attention, gradient.q, gradient.k, gradient.v,
                     pass.memory.bytes(pass.plan.attention_scratch));
  position_qkv_backward(pass, layer, gradient);
}

void attention_part_backward(const Pass& pass, const LayerPlan& layer) {
  attention_to_qkv_backward(pass, layer);
  if (!layer.needs.qkv) return;
  const BackwardScratch& scratch = pass.plan.backward;
  const LayerActivations& a = layer.backward;
  const QkvViews gradient = qkv_views(pass, scratch.d_qkv);
  const Linears linears = qkv_linears(pass, layer);
  linears_backward(
      pass, linears, a.inner, {gradient.q, gradient.k, gradient.v},
      normed_again(pass, linears, layer.weights.input_norm, a.x, a.normed, a.input_rstd),
      where(layer.needs.x, pass.rows(scratch.d_normed)));
  if (layer.needs.x) {
    norm_backward(pass, layer.weights.input_norm, scratch.d_normed, a.x, a.input_rstd, scratch.dx);
  }
}

}  // namespace

void layer_backward(const Pass& pass, const LayerPlan& layer) {
  if (layer.recomputed) {
    attention_part_forward(pass, layer, layer.backward);
    mlp_part_forward(pass, layer, layer.backward);
  }
  mlp_part_backward(pass, layer);
  // Below the lowest LoRA input nothing is needed.
  if (layer.needs.x_mid) attention_part_backward(pass, layer);
}

}  // namespace loadline
