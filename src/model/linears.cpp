#include "model/linears.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/nf4_product.h"
#include "kernels/wide_product.h"

namespace loadline {
namespace {

WideScratch wide_scratch(const Pass& pass) {
  return {.x = pass.memory.floats(pass.plan.wide_x),
          .panels = pass.memory.floats(pass.plan.wide_panels)};
}

// Rows [first, first + count).
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

void add_pair(const Pass& pass, const LayerPlan& layer, Projection projection, std::size_t first,
              Linears& linears) {
  const std::int64_t slot = layer.slot(projection);
  if (slot < 0 || pass.base_alone) return;
  linears.pairs.push_back(
      {.slot = &pass.plan.slots[static_cast<std::size_t>(slot)], .first = first});
}

struct PairViews {
  ConstView a, b;  // (R,in), (out,R) in the compute type
  View u;          // (T,R)
};
PairViews views_of(const Pass& pass, const LoraSlot& slot, BufferId inner) {
  const BufferId adapter = pass.plan.adapter.compute;
  return {.a = pass.memory.part(adapter, slot.a, slot.rank, slot.in),
          .b = pass.memory.part(adapter, slot.b, slot.out, slot.rank),
          .u = pass.memory.part(inner, pass.tokens * slot.inner, pass.tokens, slot.rank)};
}

struct PairGradients {
  View da, db;  // (R,in), (out,R) in f32
};
PairGradients gradients_of(const Pass& pass, const LoraSlot& slot) {
  const BufferId gradients = pass.plan.adapter.gradients;
  return {.da = pass.memory.part(gradients, slot.a, slot.rank, slot.in),
          .db = pass.memory.part(gradients, slot.b, slot.out, slot.rank)};
}

// Calls visit(i, rows of B that belong to output i) for each output of a pair.
template <typename Visit>
void for_outputs(const PairOn& pair, const Outputs& outputs, Visit visit) {
  std::int64_t row = 0;
  for (std::size_t i = pair.first; row < pair.slot->out && i < outputs.size(); ++i) {
    visit(i, row);
    row += outputs[i].cols;
  }
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

void frozen_product(const Pass& pass, Product product, const FrozenLinear& linear, ConstView x,
                    View y, Into into) {
  if (linear.quantized.data == nullptr) {
    return multiply(pass, product, x, linear.weight, y, into);
  }
  const bool adds = into == Into::kAdd;
  if (pass.plan.wide_x.exists()) {
    return wide_product(product, x, linear.quantized, y, adds, wide_scratch(pass));
  }
  const auto scratch_of = [&](BufferId id) {
    return id.exists() ? pass.memory.bytes(id) : std::span<std::byte>{};
  };
  const Nf4Scratch scratch{.panel = scratch_of(pass.plan.nf4_panel),
                           .result = scratch_of(pass.plan.nf4_result)};
  nf4_product(pass.gemm, product, x, linear.quantized, y, adds, scratch);
}

void add_bias_of(const FrozenLinear& linear, View y) {
  if (!linear.bias.empty()) add_bias(linear.bias, y);
}

void pair_forward(const Pass& pass, const PairOn& pair, BufferId inner, ConstView x,
                  const Outputs& y) {
  const PairViews views = views_of(pass, *pair.slot, inner);
  multiply(pass, Product::kNT, after_dropout(pass, *pair.slot, x), views.a, views.u,
           Into::kOverwrite);
  scale(pair.slot->scale, views.u);
  for_outputs(pair, y, [&](std::size_t i, std::int64_t row) {
    multiply(pass, Product::kNT, views.u, views.b.slice(row, y[i].cols), y[i], Into::kAdd);
  });
}

void pair_backward(const Pass& pass, const PairOn& pair, BufferId inner, const Outputs& dy,
                   ConstView x, View dx) {
  const LoraSlot& slot = *pair.slot;
  const PairViews views = views_of(pass, slot, inner);
  const PairGradients d = gradients_of(pass, slot);
  const View du = pass.memory.part(pass.plan.backward.d_inner, 0, pass.tokens, slot.rank);
  for_outputs(pair, dy, [&](std::size_t i, std::int64_t row) {
    multiply(pass, Product::kTN, dy[i], views.u, d.db.slice(row, dy[i].cols), Into::kAdd);
    multiply(pass, Product::kNN, dy[i], views.b.slice(row, dy[i].cols), du,
             row > 0 ? Into::kAdd : Into::kOverwrite);
  });
  scale(slot.scale, du);
  multiply(pass, Product::kTN, du, after_dropout(pass, slot, x), d.da, Into::kAdd);
  if (dx.data == nullptr) return;
  if (!(pass.dropout > 0)) return multiply(pass, Product::kNN, du, views.a, dx, Into::kAdd);
  const View d_dropped = pass.memory.part(pass.plan.dropout, 0, pass.tokens, slot.in);
  multiply(pass, Product::kNN, du, views.a, d_dropped, Into::kOverwrite);
  dropout_backward(mask_of(pass, slot), d_dropped, dx);
}

// Whether all products of a group are made together: their common inputs are widened once, and
// LoRA's part is added before the sum is rounded.
bool multiplies_together(const Pass& pass) {
  return pass.plan.wide_x.exists() && !(pass.dropout > 0);
}

void forward_together(const Pass& pass, const Linears& linears, BufferId inner, ConstView x,
                      const Outputs& y, Into into) {
  std::array<WideStage, 2> stages;
  WideStage& inners = stages[0];
  WideStage& outputs = stages[1];
  for (std::size_t i = 0; i < y.size(); ++i) {
    const FrozenLinear& frozen = linears.frozen[i];
    outputs.push_back(
        {.y = y[i],
         .terms =
             {{.product = Product::kNT, .x = x, .w = frozen.weight, .quantized = frozen.quantized}},
         .accumulate = into == Into::kAdd});
  }
  for (const PairOn& pair : linears.pairs) {
    const PairViews views = views_of(pass, *pair.slot, inner);
    inners.push_back({.y = views.u,
                      .terms = {{.product = Product::kNT, .x = x, .w = views.a, .quantized = {}}},
                      .factor = pair.slot->scale});
    for_outputs(pair, y, [&](std::size_t i, std::int64_t row) {
      outputs[i].terms.push_back({.product = Product::kNT,
                                  .x = views.u,
                                  .w = views.b.slice(row, y[i].cols),
                                  .quantized = {}});
    });
  }
  wide_products(stages, wide_scratch(pass));
  for (std::size_t i = 0; i < y.size(); ++i) add_bias_of(linears.frozen[i], y[i]);
}

// Outputs [first, end) of a group.
struct Range {
  std::size_t first = 0;
  std::size_t end = 0;
  [[nodiscard]] bool contains(std::size_t i) const { return i >= first && i < end; }
};

// The gradients by some of the outputs, after those by the ones before.
void backward_together(const Pass& pass, const Linears& linears, BufferId inner, const Outputs& dy,
                       Range range, ConstView x, View dx, Into into) {
  std::array<WideStage, 2> stages;
  WideStage& inners = stages[0];
  WideStage& gradients = stages[1];
  WideSum to_x{.y = dx, .terms = {}, .accumulate = range.first > 0 || into == Into::kAdd};
  for (std::size_t i = range.first; i < range.end; ++i) {
    const FrozenLinear& frozen = linears.frozen[i];
    to_x.terms.push_back(
        {.product = Product::kNN, .x = dy[i], .w = frozen.weight, .quantized = frozen.quantized});
  }
  std::int64_t begin = 0;  // of du among those of all pairs
  FixedList<WideSum, 7> of_pairs;
  for (const PairOn& pair : linears.pairs) {
    const LoraSlot& slot = *pair.slot;
    const PairViews views = views_of(pass, slot, inner);
    const PairGradients d = gradients_of(pass, slot);
    const View du = pass.memory.part(pass.plan.backward.d_inner, begin, pass.tokens, slot.rank);
    begin += pass.tokens * slot.rank;
    WideSum to_u{
        .y = du, .terms = {}, .accumulate = pair.first < range.first, .factor = slot.scale};
    bool is_whole = true;
    for_outputs(pair, dy, [&](std::size_t i, std::int64_t row) {
      is_whole = i < range.end;
      if (!range.contains(i)) return;
      const ConstView part = views.b.slice(row, dy[i].cols);
      to_u.terms.push_back({.product = Product::kNN, .x = dy[i], .w = part, .quantized = {}});
      of_pairs.push_back(
          {.y = d.db.slice(row, dy[i].cols),
           .terms = {{.product = Product::kTN, .x = dy[i], .w = views.u, .quantized = {}}},
           .accumulate = true});
    });
    if (to_u.terms.empty()) continue;
    inners.push_back(to_u);
    if (!is_whole) continue;
    to_x.terms.push_back({.product = Product::kNN, .x = du, .w = views.a, .quantized = {}});
    of_pairs.push_back({.y = d.da,
                        .terms = {{.product = Product::kTN, .x = du, .w = x, .quantized = {}}},
                        .accumulate = true});
  }
  if (dx.data != nullptr) gradients.push_back(to_x);
  for (const WideSum& sum : of_pairs) gradients.push_back(sum);
  wide_products(stages, wide_scratch(pass));
}

// All outputs at once, or, where the scratch has no room for so many gradients of a whole block of
// tokens, one after the other: smaller blocks would widen the weights more often.
void backward_together(const Pass& pass, const Linears& linears, BufferId inner, const Outputs& dy,
                       ConstView x, View dx, Into into) {
  std::int64_t widths = 0;
  for (const View& output : dy) widths += output.cols;
  for (const PairOn& pair : linears.pairs) widths += pair.slot->rank;
  const std::int64_t rows = std::min(kWideRows, pass.tokens);
  const bool fits = rows * widths <= std::ssize(wide_scratch(pass).x);
  const std::size_t at_once = fits ? dy.size() : 1;
  for (std::size_t i = 0; i < dy.size(); i += at_once) {
    backward_together(pass, linears, inner, dy, {.first = i, .end = i + at_once}, x, dx, into);
  }
}

}  // namespace

Linears qkv_linears(const Pass& pass, const LayerPlan& layer) {
  const LayerWeights& w = layer.weights;
  const std::int64_t qw = pass.model.q_width();
  const std::int64_t kw = pass.model.kv_width();
  Linears linears{
      .frozen = {rows_of(pass, w.qkv, w.qkv_bias, 0, qw), rows_of(pass, w.qkv, w.qkv_bias, qw, kw),
                 rows_of(pass, w.qkv, w.qkv_bias, qw + kw, kw)},
      .pairs = {}};
  add_pair(pass, layer, Projection::kQ, 0, linears);
  add_pair(pass, layer, Projection::kK, 1, linears);
  add_pair(pass, layer, Projection::kV, 2, linears);
  add_pair(pass, layer, Projection::kQkv, 0, linears);
  return linears;
}

Linears gate_up_linears(const Pass& pass, const LayerPlan& layer) {
  const LayerWeights& w = layer.weights;
  const std::int64_t width = pass.model.intermediate_size;
  Linears linears{.frozen = {rows_of(pass, w.gate_up, w.gate_up_bias, 0, width),
                             rows_of(pass, w.gate_up, w.gate_up_bias, width, width)},
                  .pairs = {}};
  add_pair(pass, layer, Projection::kGate, 0, linears);
  add_pair(pass, layer, Projection::kUp, 1, linears);
  add_pair(pass, layer, Projection::kGateUp, 0, linears);
  return linears;
}

Linears o_linears(const Pass& pass, const LayerPlan& layer) {
  Linears linears{.frozen = {whole(pass, layer.weights.o, layer.weights.o_bias)}, .pairs = {}};
  add_pair(pass, layer, Projection::kO, 0, linears);
  return linears;
}

Linears down_linears(const Pass& pass, const LayerPlan& layer) {
  Linears linears{.frozen = {whole(pass, layer.weights.down, layer.weights.down_bias)},
                  .pairs = {}};
  add_pair(pass, layer, Projection::kDown, 0, linears);
  return linears;
}

void multiply(const Pass& pass, Product product, ConstView a, ConstView b, View c, Into into) {
  const bool adds = into == Into::kAdd;
  if (pass.plan.wide_x.exists()) {
    wide_product(product, a, b, c, adds, wide_scratch(pass));
  } else {
    pass.gemm.run(product, a, b, c, adds);
  }
}

void linears_forward(const Pass& pass, const Linears& linears, BufferId inner, ConstView x,
                     const Outputs& y, Into into) {
  if (multiplies_together(pass)) return forward_together(pass, linears, inner, x, y, into);
  for (std::size_t i = 0; i < y.size(); ++i) {
    frozen_product(pass, Product::kNT, linears.frozen[i], x, y[i], into);
    add_bias_of(linears.frozen[i], y[i]);
  }
  for (const PairOn& pair : linears.pairs) pair_forward(pass, pair, inner, x, y);
}

void linears_backward(const Pass& pass, const Linears& linears, BufferId inner, const Outputs& dy,
                      ConstView x, View dx, Into into) {
  if (multiplies_together(pass)) {
    return backward_together(pass, linears, inner, dy, x, dx, into);
  }
  for (std::size_t i = 0; i < dy.size() && dx.data != nullptr; ++i) {
    frozen_product(pass, Product::kNN, linears.frozen[i], dy[i], dx, i > 0 ? Into::kAdd : into);
  }
  for (const PairOn& pair : linears.pairs) pair_backward(pass, pair, inner, dy, x, dx);
}

}  // namespace loadline
