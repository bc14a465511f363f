// The pieces that a layer's forward and backward are made of.
#pragma once

#include <initializer_list>

#include "kernels/gemm.h"
#include "model/layer.h"

namespace loadline {

enum class Into { kOverwrite, kAdd };
// c (+)= a · b as Gemm::run has it; in f32 where the plan widens products.
void multiply(const Pass& pass, Product product, ConstView a, ConstView b, View c, Into into);

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

// A frozen linear layer: `out` rows, from `first` on, of a buffer that may hold several.
struct FrozenLinear {
  ConstView weight;             // (out,in), unless it is quantized
  Nf4View quantized;            // (out,in)
  std::span<const float> bias;  // (out), or empty
};
FrozenLinear whole(const Pass& pass, BufferId weight, BufferId bias);
FrozenLinear rows_of(const Pass& pass, BufferId weight, BufferId bias, std::int64_t first,
                     std::int64_t count);
struct QkvLinears {
  FrozenLinear q, k, v;
};
QkvLinears qkv_linears(const Pass& pass, const LayerWeights& weights);
struct GateUpLinears {
  FrozenLinear gate, up;
};
GateUpLinears gate_up_linears(const Pass& pass, const LayerWeights& weights);

// y (+)= x W^T + bias. x (T,in), y (T,out).
void frozen_forward(const Pass& pass, const FrozenLinear& linear, ConstView x, View y, Into into);
// dx (+)= dy W.
void frozen_backward(const Pass& pass, const FrozenLinear& linear, ConstView dy, View dx,
                     Into into);

// The matrices that a projection's output consists of: one, or those of a fused projection in
// order.
using Parts = std::initializer_list<View>;
// y += u B^T with u = scale * x A^T, which is kept in the layer's inner buffer. Nothing where the
// projection is not a target. Without parts of y it stops after u.
void lora_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a,
                  Projection projection, ConstView x, Parts y);
// dB += dy^T u; du = scale * dy B; dA += du^T x; dx += du A, unless dx has no data.
void lora_backward(const Pass& pass, const LayerPlan& layer, Projection projection, Parts dy,
                   ConstView x, View dx);

// What attention reads: q and k after their norm, where the family has one, and rope. Without the
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

void norm_forward(const Pass& pass, BufferId weight, BufferId x, BufferId y, BufferId rstd);
void norm_backward(const Pass& pass, BufferId weight, BufferId dy, BufferId x, BufferId rstd,
                   BufferId dx);

// x -> x_mid, and x_mid -> x_out (when `a` has none, everything that a backward reads).
void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);
void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);

}  // namespace loadline
