// The pieces that a layer's forward and backward are made of.
#pragma once

#include "model/layer.h"

namespace loadline {

// q, k and v, or gate and up, side by side in one buffer.
struct QkvViews {
  View q;   // (T,QW)
  View k;   // (T,KW)
  View v;   // (T,KW)
  View qk;  // (T,QW + KW): what rope turns
};
QkvViews qkv_views(const Pass& pass, BufferId qkv);
struct GateUpViews {
  View gate;  // (T,I)
  View up;    // (T,I)
};
GateUpViews gate_up_views(const Pass& pass, BufferId gate_up);

// y (+)= x W^T (+ bias). x (T,in), W (out,in), y (T,out).
enum class Into { kOverwrite, kAdd };
void frozen_forward(const Pass& pass, BufferId weight, BufferId bias, ConstView x, View y,
                    Into into);
// dx = dy W.
void frozen_backward(const Pass& pass, BufferId weight, ConstView dy, View dx);

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
