#include "model/layer_parts.h"

#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/geglu.h"
#include "kernels/nf4_product.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "kernels/wide_product.h"

namespace loadline {
namespace {

struct LoraViews {
  ConstView a, b;  // (R,in), (out,R) in the compute type
  View inner;      // (T,R)
};

LoraViews lora_views(const Pass& pass, const LoraSlot& slot, BufferId inner) {
  const AdapterBuffers& adapter = pass.plan.adapter;
  return {.a = pass.memory.part(adapter.compute, slot.a, slot.rank, slot.in),
          .b = pass.memory.part(adapter.compute, slot.b, slot.out, slot.rank),
          .inner = pass.memory.part(inner, pass.tokens * slot.inner, pass.tokens, slot.rank)};
}

const LoraSlot* slot_of(const Pass& pass, const LayerPlan& layer, Projection projection) {
  const std::int64_t slot = layer.slot(projection);
  return slot < 0 ? nullptr : &pass.plan.slots[static_cast<std::size_t>(slot)];
}

// The mask of a pair's input: the same in the forward, in a forward run again and in the backward.
DropoutMask mask_of(const Pass& pass, const LoraSlot& slot) {
  const auto place = static_cast<std::uint64_t>(slot.layer) * kProjections +
                     static_cast<std::uint64_t>(slot.projection) + 1;
  return {.key = pass.dropout_seed ^ (place * 0xd1342543de82ef95ULL), .rate = pass.dropout};
}

// A pair's input as it is trained on: x itself, or x after dropout in the scratch.
ConstView after_dropout(const Pass& pass, const LoraSlot& slot, ConstView x) {
  if (!(pass.dropout > 0)) return x;
  const View dropped = pass.memory.part(pass.plan.dropout, 0, pass.tokens, slot.in);
  dropout_forward(mask_of(pass, slot), x, dropped);
  return dropped;
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
  FrozenLinear linear;
  if (pass.plan.memory.buffer(weight).dtype == DType::kNf4) {
    linear.quantized = pass.memory.nf4(weight).slice(first, count);
  } else {
    linear.weight = pass.memory.matrix(weight).slice(first, count);
  }
  if (bias.exists()) {
    linear.bias = pass.memory.floats(bias).subspan(static_cast<std::size_t>(first),
                                                   static_cast<std::size_t>(count));
  }
  return linear;
}

FrozenLinear whole(const Pass& pass, BufferId weight, BufferId bias) {
  return rows_of(pass, weight, bias, 0, pass.plan.memory.buffer(weight).shape.at(0));
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

namespace {

WideScratch wide_scratch(const Pass& pass) {
  return {.x = pass.memory.floats(pass.plan.wide_x),
          .panels = pass.memory.floats(pass.plan.wide_panels)};
}

void frozen_product(const Pass& pass, Product product, const FrozenLinear& linear, ConstView x,
                    View y, Into into) {
  if (linear.quantized.data == nullptr) {
    return multiply(pass, product, x, linear.weight, y, into);
  }
  const bool adds = into == Into::kAdd;
  if (pass.plan.wide_x.exists()) {
    return wide_product(product, x, linear.quantized, y, adds, wide_scratch(pass));
  }
  const Nf4Scratch scratch{.panel = pass.memory.bytes(pass.plan.nf4_panel),
                           .result = pass.memory.bytes(pass.plan.nf4_result)};
  nf4_product(pass.gemm, product, x, linear.quantized, y, adds, scratch);
}

}  // namespace

void multiply(const Pass& pass, Product product, ConstView a, ConstView b, View c, Into into) {
  const bool adds = into == Into::kAdd;
  if (pass.plan.wide_x.exists()) {
    wide_product(product, a, b, c, adds, wide_scratch(pass));
  } else {
    pass.gemm.run(product, a, b, c, adds);
  }
}

void frozen_forward(const Pass& pass, const FrozenLinear& linear, ConstView x, View y, Into into) {
  frozen_product(pass, Product::kNT, linear, x, y, into);
  if (!linear.bias.empty()) add_bias(linear.bias, y);
}

void frozen_backward(const Pass& pass, const FrozenLinear& linear, ConstView dy, View dx,
                     Into into) {
  frozen_product(pass, Product::kNN, linear, dy, dx, into);
}

void lora_forward(const Pass& pass, const LayerPlan& layer, const LayerActivations& a,
                  Projection projection, ConstView x, Parts y) {
  const LoraSlot* slot = slot_of(pass, layer, projection);
  if (slot == nullptr) return;
  const LoraViews lora = lora_views(pass, *slot, a.inner);
  multiply(pass, Product::kNT, after_dropout(pass, *slot, x), lora.a, lora.inner, Into::kOverwrite);
  scale(slot->scale, lora.inner);
  std::int64_t row = 0;
  for (const View& part : y) {
    multiply(pass, Product::kNT, lora.inner, lora.b.slice(row, part.cols), part, Into::kAdd);
    row += part.cols;
  }
}

void lora_backward(const Pass& pass, const LayerPlan& layer, Projection projection, Parts dy,
                   ConstView x, View dx) {
  const LoraSlot* slot = slot_of(pass, layer, projection);
  if (slot == nullptr) return;
  const LoraViews lora = lora_views(pass, *slot, layer.backward.inner);
  const BufferId gradients = pass.plan.adapter.gradients;
  const View da = pass.memory.part(gradients, slot->a, slot->rank, slot->in);
  const View db = pass.memory.part(gradients, slot->b, slot->out, slot->rank);
  const View d_inner = pass.rows(pass.plan.backward.d_inner);
  std::int64_t row = 0;
  for (const View& part : dy) {
    multiply(pass, Product::kTN, part, lora.inner, db.slice(row, part.cols), Into::kAdd);
    multiply(pass, Product::kNN, part, lora.b.slice(row, part.cols), d_inner,
             row > 0 ? Into::kAdd : Into::kOverwrite);
    row += part.cols;
  }
  scale(slot->scale, d_inner);
  multiply(pass, Product::kTN, d_inner, after_dropout(pass, *slot, x), da, Into::kAdd);
  if (dx.data == nullptr) return;
  if (!(pass.dropout > 0)) {
    multiply(pass, Product::kNN, d_inner, lora.a, dx, Into::kAdd);
    return;
  }
  const View d_dropped = pass.memory.part(pass.plan.dropout, 0, pass.tokens, slot->in);
  multiply(pass, Product::kNN, d_inner, lora.a, d_dropped, Into::kOverwrite);
  dropout_backward(mask_of(pass, *slot), d_dropped, dx);
}

namespace {

struct HeadNorm {
  View x;  // (T x heads, HD)
  std::span<float> weight, rstd;
};

// q's and k's heads as rows of a buffer that begins with q (T,QW) and goes on with k (T,KW).
struct HeadNorms {
  HeadNorm q, k;
};
HeadNorms head_norms(const Pass& pass, const LayerWeights& w, BufferId qk) {
  const ModelConfig& m = pass.model;
  const std::int64_t queries = pass.tokens * m.heads;
  const std::int64_t keys = pass.tokens * m.kv_heads;
  const auto rstd = pass.memory.floats(pass.plan.normed_qk_rstd, queries + keys);
  const auto split = static_cast<std::size_t>(queries);
  return {.q = {.x = pass.memory.part(qk, 0, queries, m.head_dim),
                .weight = pass.memory.floats(w.q_norm),
                .rstd = rstd.first(split)},
          .k = {.x = pass.memory.part(qk, queries * m.head_dim, keys, m.head_dim),
                .weight = pass.memory.floats(w.k_norm),
                .rstd = rstd.subspan(split)}};
}

// The rope table of a layer, from its first row on.
struct Turning {
  RopeShape shape;
  std::span<const float> cos, sin;
};
Turning turning(const Pass& pass, const LayerPlan& layer) {
  const std::int64_t turned = pass.model.turned();
  const auto first = static_cast<std::size_t>(layer.rope_first * (turned / 2));
  return {.shape = {.head_dim = pass.model.head_dim, .turned = turned},
          .cos = pass.memory.floats(pass.plan.rope_cos).subspan(first),
          .sin = pass.memory.floats(pass.plan.rope_sin).subspan(first)};
}

}  // namespace

QkvViews position_qkv(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  QkvViews qkv = qkv_views(pass, a.qkv);
  if (pass.model.qk_norm) {
    const auto eps = static_cast<float>(pass.model.rms_norm_eps);
    const HeadNorms from = head_norms(pass, layer.weights, a.qkv);
    const HeadNorms to = head_norms(pass, layer.weights, pass.plan.normed_qk);
    rms_norm_forward(from.q.x, from.q.weight, eps, to.q.x, to.q.rstd);
    rms_norm_forward(from.k.x, from.k.weight, eps, to.k.x, to.k.rstd);
    qkv.q = pass.memory.part(pass.plan.normed_qk, 0, pass.tokens, qkv.q.cols);
    qkv.k =
        pass.memory.part(pass.plan.normed_qk, pass.tokens * qkv.q.cols, pass.tokens, qkv.k.cols);
  }
  const Turning turn = turning(pass, layer);
  rope_forward(qkv.q, turn.shape, pass.positions, turn.cos, turn.sin);
  rope_forward(qkv.k, turn.shape, pass.positions, turn.cos, turn.sin);
  return qkv;
}

void position_qkv_backward(const Pass& pass, const LayerPlan& layer, const QkvViews& gradient) {
  const Turning turn = turning(pass, layer);
  rope_backward(gradient.q, turn.shape, pass.positions, turn.cos, turn.sin);
  rope_backward(gradient.k, turn.shape, pass.positions, turn.cos, turn.sin);
  if (!pass.model.qk_norm) return;
  const HeadNorms before = head_norms(pass, layer.weights, layer.backward.qkv);
  const HeadNorms d = head_norms(pass, layer.weights, pass.plan.backward.d_qkv);
  rms_norm_backward_in_place(d.q.x, before.q.x, before.q.weight, before.q.rstd);
  rms_norm_backward_in_place(d.k.x, before.k.x, before.k.weight, before.k.rstd);
}

void gated_unit_forward(const Pass& pass, const GateUpViews& mlp, View out) {
  if (pass.model.activation == GateActivation::kGeluTanh) {
    geglu_forward(mlp.gate, mlp.up, out);
  } else {
    swiglu_forward(mlp.gate, mlp.up, out);
  }
}

void gated_unit_backward(const Pass& pass, ConstView dout, const GateUpViews& mlp) {
  if (pass.model.activation == GateActivation::kGeluTanh) {
    geglu_backward(dout, mlp.gate, mlp.up, mlp.gate, mlp.up);
  } else {
    swiglu_backward(dout, mlp.gate, mlp.up, mlp.gate, mlp.up);
  }
}

Residual attention_residual(const LayerPlan& layer, const LayerActivations& a) {
  return {
      .from = a.x, .to = a.x_mid, .norm = layer.weights.o_norm, .output = a.o, .rstd = a.o_rstd};
}

Residual mlp_residual(const LayerPlan& layer, const LayerActivations& a) {
  return {.from = a.x_mid,
          .to = a.x_out,
          .norm = layer.weights.down_norm,
          .output = a.down,
          .rstd = a.down_rstd};
}

Destination open_residual(const Pass& pass, const Residual& residual) {
  if (residual.output.exists()) return {pass.rows(residual.output), Into::kOverwrite};
  if (residual.from != residual.to) copy(pass.rows(residual.from), pass.rows(residual.to));
  return {pass.rows(residual.to), Into::kAdd};
}

void close_residual(const Pass& pass, const Residual& residual, BufferId normed) {
  if (!residual.output.exists()) return;
  norm_forward(pass, residual.norm, residual.output, normed, residual.rstd);
  if (!residual.to.exists()) return;
  if (residual.from != residual.to) copy(pass.rows(residual.from), pass.rows(residual.to));
  add(pass.rows(normed), pass.rows(residual.to));
}

View residual_gradient(const Pass& pass, const Residual& residual, BufferId scratch) {
  const View dx = pass.rows(pass.plan.backward.dx);
  if (!residual.output.exists()) return dx;
  const View through = pass.rows(scratch);
  copy(dx, through);
  rms_norm_backward_in_place(through, pass.rows(residual.output), pass.memory.floats(residual.norm),
                             pass.column(residual.rstd));
  return through;
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
