// The pieces that a layer's forward and backward are made of.
#pragma once

#include "model/layer.h"
#include "model/linears.h"

namespace loadline {

// q, k and v, or gate and up, share a buffer, one dense matrix after the other: oneDNN's fast bf16
// products take no strided operand.
struct QkvViews {
  View q;  // (T,QW)
  View k;  // (T,KW)
  View v;  // (T,KW)
};
QkvViews qkv_views(const Pass& pass, BufferId qkv);
struct GateUpViews {
  View gate;  // (T,I)
  View up;    // (T,I)
};
GateUpViews gate_up_views(const Pass& pass, BufferId gate_up);

// What attention reads: q and k after their norm and rope, where the layer has them. Without the
// norm in the qkv buffer itself, so once in a pass; with it in a buffer of its own, as often as
// needed.
QkvViews position_qkv(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);
// The gradient of q and k back through both, in place.
void position_qkv_backward(const Pass& pass, const LayerPlan& layer, const QkvViews& gradient);

// out = act(gate) * up, and back into gate and up.
void gated_unit_forward(const Pass& pass, const GateUpViews& mlp, View out);
void gated_unit_backward(const Pass& pass, ConstView dout, const GateUpViews& mlp);

// Where a half of the layer puts what it makes of `from`: onto the residual stream, which goes on
// in `to` (and may be `from` itself), or, in families that norm it first, into `output`.
struct Residual {
  BufferId from, to;
  BufferId norm, output, rstd;  // none without that norm
};
Residual attention_residual(const LayerPlan& layer, const LayerActivations& a);
Residual mlp_residual(const LayerPlan& layer, const LayerActivations& a);
struct Destination {
  View to;
  Into into = Into::kAdd;
};
Destination open_residual(const Pass& pass, const Residual& residual);
// Adds the normed output to the stream, where there is such a norm. `normed` is scratch.
void close_residual(const Pass& pass, const Residual& residual, BufferId normed);
// The gradient of what was put there: the stream's own, or, through the norm, in `scratch`.
View residual_gradient(const Pass& pass, const Residual& residual, BufferId scratch);

// What a half of the layer reads of the stream at x: x normed, or x where there is no such norm.
struct StreamInput {
  BufferId x, norm, rstd;
};
StreamInput attention_input(const LayerPlan& layer, const LayerActivations& a);
StreamInput mlp_input(const LayerPlan& layer, const LayerActivations& a);
View input_forward(const Pass& pass, const StreamInput& input, BufferId normed);

void norm_forward(const Pass& pass, BufferId weight, BufferId x, BufferId y, BufferId rstd);
void norm_backward(const Pass& pass, BufferId weight, BufferId dy, BufferId x, BufferId rstd,
                   BufferId dx);

// x -> x_mid, and x_mid -> x_out (when `a` has none, everything that a backward reads).
void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);
void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);

}  // namespace loadline
