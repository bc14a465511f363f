#include "kernels/attention.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

// A gradient's view where it is needed, else "none".
View where(bool needed, View view) { return needed ? view : View{}; }

// From the gradients of what linear layers made of a part of the stream to its own, if that is
// needed: through the norm of what they read, or, without one, straight onto it. What they read is
// made again for their pairs.
void stream_input_backward(const Pass& pass, const Linears& linears, const LayerActivations& a,
                           const Outputs& gradients, const StreamInput& input, bool needed) {
  const BackwardScratch& scratch = pass.plan.backward;
  const bool normed = input.norm.exists();
  const View read = linears.pairs.empty() ? View{} : input_forward(pass, input, a.normed);
  const View d_read = where(needed, pass.rows(normed ? scratch.d_normed : scratch.dx));
  linears_backward(pass, linears, a.inner, gradients, read, d_read,
                   normed ? Into::kOverwrite : Into::kAdd);
  if (needed && normed) {
    norm_backward(pass, input.norm, scratch.d_normed, input.x, input.rstd, scratch.dx);
  }
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
  const LayerActivations& a = layer.backward;
  const GateUpViews gradient = gate_up_views(pass, a.gate_up);
  stream_input_backward(pass, gate_up_linears(pass, layer), a, {gradient.gate, gradient.up},
                        mlp_input(layer, a), layer.needs.x_mid);
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
  const bool again = pass.model.qk_norm != QkNorm::kNone;
  const QkvViews qkv = again ? position_qkv(pass, layer, a) : qkv_views(pass, a.qkv);
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
  const LayerActivations& a = layer.backward;
  const QkvViews gradient = qkv_views(pass, pass.plan.backward.d_qkv);
  stream_input_backward(pass, qkv_linears(pass, layer), a, {gradient.q, gradient.k, gradient.v},
                        attention_input(layer, a), layer.needs.x);
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
