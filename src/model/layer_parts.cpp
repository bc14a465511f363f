#include "model/layer_parts.h"

#include "kernels/elementwise.h"
#include "kernels/geglu.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"

namespace loadline {
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

namespace {

struct NormedPart {
  View x;  // (T x heads, HD), or (T, heads x HD)
  std::span<float> weight, rstd;
};

// q and k of a buffer that begins with q (T,QW) and goes on with k (T,KW), in rows as wide as their
// norms.
struct QkNorms {
  NormedPart q, k;
};
QkNorms qk_norms(const Pass& pass, const LayerWeights& w, BufferId qk) {
  const ModelConfig& m = pass.model;
  const auto q_weight = pass.memory.floats(w.q_norm);
  const auto k_weight = pass.memory.floats(w.k_norm);
  const std::int64_t q_rows = pass.tokens * m.q_width() / std::ssize(q_weight);
  const std::int64_t k_rows = pass.tokens * m.kv_width() / std::ssize(k_weight);
  const auto rstd = pass.memory.floats(pass.plan.normed_qk_rstd, q_rows + k_rows);
  const auto split = static_cast<std::size_t>(q_rows);
  return {.q = {.x = pass.memory.part(qk, 0, q_rows, std::ssize(q_weight)),
                .weight = q_weight,
                .rstd = rstd.first(split)},
          .k = {.x = pass.memory.part(qk, pass.tokens * m.q_width(), k_rows, std::ssize(k_weight)),
                .weight = k_weight,
                .rstd = rstd.subspan(split)}};
}

// The rope table of a layer, from its first row on.
struct Turning {
  RopeShape shape;
  std::span<const float> cos, sin;
};
Turning turning(const Pass& pass, std::int64_t rope_first) {
  const std::int64_t turned = pass.model.turned();
  const auto first = static_cast<std::size_t>(rope_first * (turned / 2));
  return {.shape = {.head_dim = pass.model.head_dim, .turned = turned},
          .cos = pass.memory.floats(pass.plan.rope_cos).subspan(first),
          .sin = pass.memory.floats(pass.plan.rope_sin).subspan(first)};
}

}  // namespace

QkvViews position_qkv(const Pass& pass, const LayerPlan& layer, const LayerActivations& a) {
  QkvViews qkv = qkv_views(pass, a.qkv);
  if (pass.model.qk_norm != QkNorm::kNone) {
    const auto eps = static_cast<float>(pass.model.rms_norm_eps);
    const QkNorms from = qk_norms(pass, layer.weights, a.qkv);
    const QkNorms to = qk_norms(pass, layer.weights, pass.plan.normed_qk);
    rms_norm_forward(from.q.x, from.q.weight, eps, to.q.x, to.q.rstd);
    rms_norm_forward(from.k.x, from.k.weight, eps, to.k.x, to.k.rstd);
    qkv.q = pass.memory.part(pass.plan.normed_qk, 0, pass.tokens, qkv.q.cols);
    qkv.k =
        pass.memory.part(pass.plan.normed_qk, pass.tokens * qkv.q.cols, pass.tokens, qkv.k.cols);
  }
  if (!layer.rope_first) return qkv;
  const Turning turn = turning(pass, *layer.rope_first);
  rope_forward(qkv.q, turn.shape, pass.positions, turn.cos, turn.sin);
  rope_forward(qkv.k, turn.shape, pass.positions, turn.cos, turn.sin);
  return qkv;
}

void position_qkv_backward(const Pass& pass, const LayerPlan& layer, const QkvViews& gradient) {
  if (layer.rope_first) {
    const Turning turn = turning(pass, *layer.rope_first);
    rope_backward(gradient.q, turn.shape, pass.positions, turn.cos, turn.sin);
    rope_backward(gradient.k, turn.shape, pass.positions, turn.cos, turn.sin);
  }
  if (pass.model.qk_norm == QkNorm::kNone) return;
  const QkNorms before = qk_norms(pass, layer.weights, layer.backward.qkv);
  const QkNorms d = qk_norms(pass, layer.weights, pass.plan.backward.d_qkv);
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

StreamInput attention_input(const LayerPlan& layer, const LayerActivations& a) {
  return {.x = a.x, .norm = layer.weights.input_norm, .rstd = a.input_rstd};
}

StreamInput mlp_input(const LayerPlan& layer, const LayerActivations& a) {
  return {.x = a.x_mid, .norm = layer.weights.post_norm, .rstd = a.post_rstd};
}

View input_forward(const Pass& pass, const StreamInput& input, BufferId normed) {
  if (!input.norm.exists()) return pass.rows(input.x);
  norm_forward(pass, input.norm, input.x, normed, input.rstd);
  return pass.rows(normed);
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
