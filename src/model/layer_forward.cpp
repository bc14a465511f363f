#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "model/layer_parts.h"

namespace loadline {
namespace {

// The residual stream goes on in `to`, which may be `from` itself.
void carry(const Pass& pass, BufferId from, BufferId to) {
  if (from != to) copy(pass.rows(from), pass.rows(to));
}

void project_qkv(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  const View normed = pass.rows(a.normed);
  const QkvViews qkv = qkv_views(pass, a.qkv);
  const QkvLinears linears = qkv_linears(pass, layer.weights);
  frozen_forward(pass, linears.q, normed, qkv.q, Into::kOverwrite);
  frozen_forward(pass, linears.k, normed, qkv.k, Into::kOverwrite);
  frozen_forward(pass, linears.v, normed, qkv.v, Into::kOverwrite);
  lora_forward(pass, layer, a, Projection::kQ, normed, qkv.q);
  lora_forward(pass, layer, a, Projection::kK, normed, qkv.k);
  lora_forward(pass, layer, a, Projection::kV, normed, qkv.v);
  const auto cos = pass.memory.floats(pass.plan.rope_cos);
  const auto sin = pass.memory.floats(pass.plan.rope_sin);
  rope_forward(qkv.q, pass.model.head_dim, pass.positions, cos, sin);
  rope_forward(qkv.k, pass.model.head_dim, pass.positions, cos, sin);
}

}  // namespace

void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  norm_forward(pass, layer.weights.input_norm, a.x, a.normed, a.input_rstd);
  project_qkv(pass, layer, a);
  const QkvViews qkv = qkv_views(pass, a.qkv);
  const View attention = pass.rows(a.attention);
  attention_forward(qkv.q, qkv.k, qkv.v, pass.row_starts, pass.plan.attention, attention,
                    pass.memory.floats(a.log_sum_exp, pass.model.heads * pass.tokens),
                    pass.memory.bytes(pass.plan.attention_scratch));
  carry(pass, a.x, a.x_mid);
  const View x_mid = pass.rows(a.x_mid);
  frozen_forward(pass, whole(pass, layer.weights.o, layer.weights.o_bias), attention, x_mid,
                 Into::kAdd);
  lora_forward(pass, layer, a, Projection::kO, attention, x_mid);
}

void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  norm_forward(pass, layer.weights.post_norm, a.x_mid, a.normed, a.post_rstd);
  const View normed = pass.rows(a.normed);
  const GateUpViews mlp = gate_up_views(pass, a.gate_up);
  const GateUpLinears linears = gate_up_linears(pass, layer.weights);
  frozen_forward(pass, linears.gate, normed, mlp.gate, Into::kOverwrite);
  frozen_forward(pass, linears.up, normed, mlp.up, Into::kOverwrite);
  lora_forward(pass, layer, a, Projection::kGate, normed, mlp.gate);
  lora_forward(pass, layer, a, Projection::kUp, normed, mlp.up);
  const bool only_for_backward = !a.x_out.exists();
  if (only_for_backward && layer.slot(Projection::kDown) < 0) return;
  const View swiglu = pass.rows(a.swiglu);
  swiglu_forward(mlp.gate, mlp.up, swiglu);
  if (only_for_backward) {
    lora_forward(pass, layer, a, Projection::kDown, swiglu, {});
    return;
  }
  carry(pass, a.x_mid, a.x_out);
  const View x_out = pass.rows(a.x_out);
  frozen_forward(pass, whole(pass, layer.weights.down, layer.weights.down_bias), swiglu, x_out,
                 Into::kAdd);
  lora_forward(pass, layer, a, Projection::kDown, swiglu, x_out);
}

void layer_forward(const Pass& pass, const LayerPlan& layer) {
  attention_part_forward(pass, layer, layer.forward);
  mlp_part_forward(pass, layer, layer.forward);
}

}  // namespace loadline
