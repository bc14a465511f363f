// The pieces that a layer's forward and backward are made of.
#pragma once

#include "model/layer.h"

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

// A frozen linear layer: `out` rows, from `first` on, of a buffer that may hold several.
struct FrozenLinear {
  ConstView weight;             // (out,in)
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

enum class Into { kOverwrite, kAdd };
// y (+)= x W^T + bias. x (T,in), y (T,out).
void frozen_forward(const Pass& pass, const FrozenLinear& linear, ConstView x, View y, Into into);
// dx (+)= dy W.
void frozen_backward(const Pass& pass, const FrozenLinear& linear, ConstView dy, View dx,
                     Into into);

// y += u B^T with u = scale * x A^T, which is kept in the layer's inner buffer. Nothing where the
// projection is not a target. A y without data stops after u.
void lora_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a,
                  Projection projection, ConstView x, View y);
// dB += dy^T u; du = scale * dy B; dA += du^T x; dx += du A, unless dx has no data.
void lora_backward(const Pass& pass, const LayerPlan& layer, Projection projection, ConstView dy,
                   ConstView x, View dx);

void norm_forward(const Pass& pass, BufferId weight, BufferId x, BufferId y, BufferId rstd);
void norm_backward(const Pass& pass, BufferId weight, BufferId dy, BufferId x, BufferId rstd,
                   BufferId dx);

// x -> x_mid, and x_mid -> x_out (when `a` has none, everything that a backward reads).
void attention_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);
void mlp_part_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a);

}  // namespace loadline
