// Linear layers and LoRA's pairs on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fixed_list.h"
#include "kernels/gemm.h"
#include "model/layer.h"

namespace loadline {

enum class Into { kOverwrite, kAdd };
// c (+)= a · b as Gemm::run has it; in f32 where the plan widens products.
void multiply(const Pass& pass, Product product, ConstView a, ConstView b, View c, Into into);

// A frozen linear layer: some rows of a buffer that may hold several.
struct FrozenLinear {
  ConstView weight;             // (out,in), unless it is quantized
  Nf4View quantized;            // (out,in)
  std::span<const float> bias;  // (out), or empty
};

// A pair adds to one output, or, where its projection is fused, to all from `first` on.
struct PairOn {
  const LoraSlot* slot = nullptr;
  std::size_t first = 0;
};

// The linear layers that read one input, and the pairs on them.
struct Linears {
  FixedList<FrozenLinear, 3> frozen;
  FixedList<PairOn, 4> pairs;
};
[[nodiscard]] Linears qkv_linears(const Pass& pass, const LayerPlan& layer);
[[nodiscard]] Linears gate_up_linears(const Pass& pass, const LayerPlan& layer);
[[nodiscard]] Linears o_linears(const Pass& pass, const LayerPlan& layer);
[[nodiscard]] Linears down_linears(const Pass& pass, const LayerPlan& layer);

// A view for each of the linear layers.
using Outputs = FixedList<View, 3>;

// y (+)= x W^T + bias + u B^T with u = scale * x A^T, which is kept in the layer's inner buffer.
// Without outputs it stops after u.
void linears_forward(const Pass& pass, const Linears& linears, BufferId inner, ConstView x,
                     const Outputs& y, Into into);
// For each pair dB += dy^T u, du = scale * dy B and dA += du^T x; dx (+)= the sum of all dy W and
// du A, unless dx has no data. x is not read where there is no pair.
void linears_backward(const Pass& pass, const Linears& linears, BufferId inner, const Outputs& dy,
                      ConstView x, View dx, Into into = Into::kOverwrite);

}  // namespace loadline
