#include "model/layer_parts.h"

#include "kernels/elementwise.h"
#include "kernels/rms_norm.h"

namespace loadline {
namespace {

struct LoraViews {
  ConstView a, b;  // (R,in), (out,R) in the compute type
  View da, db;     // their gradients, f32
  View inner;      // (T,R)
};

LoraViews lora_views(const Pass& pass, const LoraSlot& slot, BufferId inner) {
  const AdapterBuffers& adapter = pass.plan.adapter;
  const std::int64_t rank = pass.lora.rank;
  return {.a = pass.memory.part(adapter.compute, slot.a, rank, slot.in),
          .b = pass.memory.part(adapter.compute, slot.b, slot.out, rank),
          .da = pass.memory.part(adapter.gradients, slot.a, rank, slot.in),
          .db = pass.memory.part(adapter.gradients, slot.b, slot.out, rank),
          .inner = pass.memory.part(inner, pass.tokens * slot.inner, pass.tokens, rank)};
}

const LoraSlot* slot_of(const Pass& pass, const LayerPlan& layer, Projection projection) {
  const std::int64_t slot = layer.slot(projection);
  return slot < 0 ? nullptr : &pass.plan.slots[static_cast<std::size_t>(slot)];
}

}  // namespace

QkvViews qkv_views(const Pass& pass, BufferId qkv) {
  const std::int64_t t = pass.tokens;
  const std::int64_t qw = pass.model.q_width();
  const std::int64_t kw = pass.model.kv_width();
  return {.q = pass.memory.part(qkv, 0, t, qw),
          .k = pass.memory.part(qkv, t * qw, t, kw),
          .v = pass.memory.part(qkv, t * (qw + kw), t, kw)};
}

GateUpViews gate_up_views(const Pass& pass, BufferId gate_up) {
  const std::int64_t t = pass.tokens;
  const std::int64_t width = pass.model.intermediate_size;
  return {.gate = pass.memory.part(gate_up, 0, t, width),
          .up = pass.memory.part(gate_up, t * width, t, width)};
}

FrozenLinear rows_of(const Pass& pass, BufferId weight, BufferId bias, std::int64_t first,
                     std::int64_t count) {
  FrozenLinear linear{.weight = pass.memory.matrix(weight).slice(first, count), .bias = {}};
  if (bias.exists()) {
    linear.bias = pass.memory.floats(bias).subspan(static_cast<std::size_t>(first),
                                                   static_cast<std::size_t>(count));
  }
  return linear;
}

FrozenLinear whole(const Pass& pass, BufferId weight, BufferId bias) {
  return rows_of(pass, weight, bias, 0, pass.memory.matrix(weight).rows);
}

QkvLinears qkv_linears(const Pass& pass, const LayerWeights& weights) {
  const std::int64_t qw = pass.model.q_width();
  const std::int64_t kw = pass.model.kv_width();
  return {.q = rows_of(pass, weights.qkv, weights.qkv_bias, 0, qw),
          .k = rows_of(pass, weights.qkv, weights.qkv_bias, qw, kw),
          .v = rows_of(pass, weights.qkv, weights.qkv_bias, qw + kw, kw)};
}

GateUpLinears gate_up_linears(const Pass& pass, const LayerWeights& weights) {
  const std::int64_t width = pass.model.intermediate_size;
  return {.gate = rows_of(pass, weights.gate_up, weights.gate_up_bias, 0, width),
          .up = rows_of(pass, weights.gate_up, weights.gate_up_bias, width, width)};
}

void frozen_forward(const Pass& pass, const FrozenLinear& linear, ConstView x, View y, Into into) {
  pass.gemm.run(Product::kNT, x, linear.weight, y, into == Into::kAdd);
  if (!linear.bias.empty()) add_bias(linear.bias, y);
}

void frozen_backward(const Pass& pass, const FrozenLinear& linear, ConstView dy, View dx,
                     Into into) {
  pass.gemm.run(Product::kNN, dy, linear.weight, dx, into == Into::kAdd);
}

void lora_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a,
                  Projection projection, ConstView x, View y) {
  const LoraSlot* slot = slot_of(pass, layer, projection);
  if (slot == nullptr) return;
  const LoraViews lora = lora_views(pass, *slot, a.inner);
  pass.gemm.run(Product::kNT, x, lora.a, lora.inner, false);
  scale(static_cast<float>(pass.lora.scale()), lora.inner);
  if (y.data != nullptr) pass.gemm.run(Product::kNT, lora.inner, lora.b, y, true);
}

void lora_backward(const Pass& pass, const LayerPlan& layer, Projection projection, ConstView dy,
                   ConstView x, View dx) {
  const LoraSlot* slot = slot_of(pass, layer, projection);
  if (slot == nullptr) return;
  const LoraViews lora = lora_views(pass, *slot, layer.backward.inner);
  const View d_inner = pass.rows(pass.plan.backward.d_inner);
  pass.gemm.run(Product::kTN, dy, lora.inner, lora.db, true);
  pass.gemm.run(Product::kNN, dy, lora.b, d_inner, false);
  scale(static_cast<float>(pass.lora.scale()), d_inner);
  pass.gemm.run(Product::kTN, d_inner, x, lora.da, true);
  if (dx.data != nullptr) pass.gemm.run(Product::kNN, d_inner, lora.a, dx, true);
}

void norm_forward(const Pass& pass, BufferId weight, BufferId x, BufferId y, BufferId rstd) {
  rms_norm_forward(pass.rows(x), pass.memory.floats(weight),
                   static_cast<float>(pass.model.rms_norm_eps), pass.rows(y), pass.column(rstd));
}

void norm_backward(const Pass& pass, BufferId weight, BufferId dy, BufferId x, BufferId rstd,
                   BufferId dx) {
  rms_norm_backward(pass.rows(dy), pass.rows(x), pass.memory.floats(weight), pass.column(rstd),
                    pass.rows(dx));
}

}  // namespace loadline
