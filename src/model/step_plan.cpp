#include "model/step_plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/nf4_product.h"
#include "model/process_bytes.h"
#include "model/rope_table.h"

namespace loadline {
namespace {

// A chunk's gradient, whose sums stay in memory while panel after panel of words is multiplied: the
// larger it is, the fewer times all words are read.
constexpr Bytes kHeadGradient = 16_MiB;
constexpr std::int64_t kLeastChunk = 256;
// Logits of a block and a panel stay in the second-level caches of two cores.
constexpr std::int64_t kHeadBlock = 512;
constexpr std::int64_t kHeadPanel = 1024;

void require(bool holds, const char* what, std::int64_t value, const std::string& range) {
  if (!holds) throw usage_error("{} is {} but must be {}", what, value, range);
}

void check_quantization(const ModelConfig& model, const StepShape& shape) {
  if (shape.quantize == Quantization::kNone) return;
  for (const std::int64_t width : {model.hidden_size, model.q_width(), model.intermediate_size}) {
    if (width % kNf4Block == 0) continue;
    throw usage_error(
        "--quantize nf4: quantizes blocks of {} weights, and the model's projections have {} "
        "inputs, no multiple of it. Use --quantize none",
        kNf4Block, width);
  }
}

void check(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  require(lora.rank >= 1, "LoRA rank", lora.rank, "at least 1");
  require(lora.layers >= 1 && lora.layers <= model.layers, "the number of LoRA layers", lora.layers,
          fmt::format("in 1..{}, the model's layers", model.layers));
  if (lora.targets.empty()) throw usage_error("no LoRA target: name at least one projection");
  if (!std::is_sorted(lora.targets.begin(), lora.targets.end()) ||
      std::adjacent_find(lora.targets.begin(), lora.targets.end()) != lora.targets.end()) {
    throw usage_error("LoRA targets must be in order and without repeats");
  }
  const std::vector<Projection> known = projections_of(model);
  for (const Projection target : lora.targets) {
    if (std::find(known.begin(), known.end(), target) != known.end()) continue;
    throw usage_error("the LoRA target {} is not a projection of a {} model, which has {}",
                      name_of(target), model.model_type, names_of(known));
  }
  require(shape.tokens >= 1, "the tokens of a batch", shape.tokens, "at least 1");
  require(shape.rows >= 1 && shape.rows <= shape.tokens, "the rows of a batch", shape.rows,
          fmt::format("in 1..{}, its tokens", shape.tokens));
  require(shape.longest_row >= 1 && shape.longest_row <= shape.tokens, "the longest row",
          shape.longest_row, fmt::format("in 1..{}, the batch's tokens", shape.tokens));
  require(shape.threads >= 1, "the number of threads", shape.threads, "at least 1");
  if (shape.compute != DType::kF32 && shape.compute != DType::kBf16) {
    throw usage_error("the compute type is {} but must be f32 or bf16", name_of(shape.compute));
  }
  check_quantization(model, shape);
}

// Adds buffers in the order in which `loadline plan` shows them.
class Planner {
 public:
  Planner(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape)
      : model_(model),
        lora_(lora),
        shape_(shape),
        first_(model.layers - lora.layers),
        tokens_(shape.tokens),
        rope_positions_(shape.longest_row),
        checkpointing_(shape.checkpointing == ActivationCheckpointing::kOn) {}

  StepPlan run() {
    begin();
    add_slots();
    add_weights();
    add_adapter();
    add_constants();
    add_forward();
    add_head();
    add_backward();
    add_process_lines(model_, shape_, plan_);
    plan_.memory.place();
    return std::move(plan_);
  }

  StepPlan run_forward(std::vector<LoraSlot> slots, std::int64_t positions) {
    rope_positions_ = positions;
    begin();
    const std::int64_t inner = take_slots(std::move(slots));
    add_weights();
    if (plan_.parameters > 0) {
      plan_.adapter.compute =
          add("adapter", "adapter", {plan_.parameters}, shape_.compute, always());
    }
    add_constants();
    add_forward();
    if (inner > 0) share_inner(inner);
    add_last_row();
    return std::move(plan_);
  }

 private:
  void begin() {
    plan_.first_lora_layer = first_;
    plan_.layers.resize(static_cast<std::size_t>(model_.layers));
    for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
      LayerPlan& layer_plan = plan_.layers[static_cast<std::size_t>(layer)];
      layer_plan.attention = attention_of(layer);
      layer_plan.rope_first = rope_table_of(model_, layer) * rope_positions_;
    }
  }

  // Ticks.
  [[nodiscard]] int layers() const { return static_cast<int>(model_.layers); }
  [[nodiscard]] static int forward_tick(std::int64_t layer) { return 1 + static_cast<int>(layer); }
  [[nodiscard]] int head_tick() const { return 1 + layers(); }
  [[nodiscard]] int backward_tick(std::int64_t layer) const {
    return 2 * layers() + 1 - static_cast<int>(layer);
  }
  [[nodiscard]] int last_backward() const { return backward_tick(first_); }
  [[nodiscard]] Lifetime always() const { return {0, 2 * layers() + 2}; }
  [[nodiscard]] Lifetime forward_life(Half half) const { return {1, layers(), half}; }
  [[nodiscard]] Lifetime backward_life(Half half) const {
    return {head_tick() + 1, last_backward(), half};
  }

  BufferId add(std::string name, std::string_view phase, std::vector<std::int64_t> dims,
               DType dtype, Lifetime life) {
    return plan_.memory.add(std::move(name), phase, std::move(dims), dtype, life);
  }
  BufferId weight(std::string name, std::int64_t rows, std::int64_t cols) {
    return add(std::move(name), "weights", {rows, cols}, shape_.compute, always());
  }
  // A projection's weights, which may be quantized.
  BufferId linear(std::string name, std::int64_t rows, std::int64_t cols) {
    const DType dtype = quantized() ? DType::kNf4 : shape_.compute;
    return add(std::move(name), "weights", {rows, cols}, dtype, always());
  }
  [[nodiscard]] bool quantized() const { return shape_.quantize == Quantization::kNf4; }
  BufferId vector_weight(std::string name, std::int64_t size) {
    return add(std::move(name), "weights", {size}, DType::kF32, always());
  }
  // (T, cols) in the compute type.
  BufferId activation(std::string name, std::string_view phase, std::int64_t cols, Lifetime life) {
    return add(std::move(name), phase, {tokens_, cols}, shape_.compute, life);
  }

  [[nodiscard]] bool is_target(Projection p) const {
    return std::find(lora_.targets.begin(), lora_.targets.end(), p) != lora_.targets.end();
  }
  // The inputs of these are normed, which the backward makes again.
  [[nodiscard]] bool reads_normed() const {
    return is_target(Projection::kQ) || is_target(Projection::kK) || is_target(Projection::kV) ||
           is_target(Projection::kQkv) || is_target(Projection::kGate) ||
           is_target(Projection::kUp) || is_target(Projection::kGateUp);
  }
  [[nodiscard]] AttentionShape attention_of(std::int64_t layer) const {
    const double scalar =
        model_.query_scalar > 0 ? model_.query_scalar : static_cast<double>(model_.head_dim);
    return {.heads = model_.heads,
            .kv_heads = model_.kv_heads,
            .head_dim = model_.head_dim,
            .scale = static_cast<float>(1.0 / std::sqrt(scalar)),
            .window = model_.window_of(layer),
            .softcap = static_cast<float>(model_.attention_softcap)};
  }
  [[nodiscard]] std::int64_t qkv_width() const { return model_.q_width() + 2 * model_.kv_width(); }
  [[nodiscard]] std::int64_t inner_width() const {
    return lora_.rank * static_cast<std::int64_t>(lora_.targets.size());
  }

  void add_slots();
  // Returns the widest layer's inner width.
  std::int64_t take_slots(std::vector<LoraSlot> slots);
  void share_inner(std::int64_t width);
  void add_last_row();
  void add_weights();
  LayerWeights layer_weights(std::int64_t layer);
  void add_adapter();
  void add_constants();
  void add_nf4_scratch();
  void add_forward();
  LayerActivations activations(const std::string& name, std::string_view phase, Lifetime attention,
                               Lifetime mlp);
  LayerActivations shared_forward();
  void add_head();
  void add_backward();
  LayerActivations recomputed();
  [[nodiscard]] GradientNeeds needs_of(std::int64_t layer) const;

  const ModelConfig& model_;
  const LoraSettings& lora_;
  const StepShape& shape_;
  std::int64_t first_;
  std::int64_t tokens_;
  std::int64_t rope_positions_;
  bool checkpointing_;
  StepPlan plan_;
};

void Planner::add_slots() {
  for (std::int64_t layer = first_; layer < model_.layers; ++layer) {
    LayerPlan& layer_plan = plan_.layers[static_cast<std::size_t>(layer)];
    layer_plan.needs = needs_of(layer);
    std::int64_t inner = 0;
    for (const Projection projection : lora_.targets) {
      const ProjectionShape size = shape_of(model_, projection);
      const std::int64_t a = plan_.parameters;
      const std::int64_t b = a + lora_.rank * size.in;
      layer_plan.slots.at(static_cast<std::size_t>(projection)) =
          static_cast<std::int64_t>(plan_.slots.size());
      plan_.slots.push_back({.layer = layer,
                             .projection = projection,
                             .in = size.in,
                             .out = size.out,
                             .parts = size.parts,
                             .a = a,
                             .b = b,
                             .inner = inner,
                             .rank = lora_.rank,
                             .scale = static_cast<float>(lora_.scale())});
      plan_.parameters = b + lora_.rank * size.out;
      inner += lora_.rank;
    }
  }
}

std::int64_t Planner::take_slots(std::vector<LoraSlot> slots) {
  std::int64_t widest = 0;
  for (const LoraSlot& slot : slots) {
    LayerPlan& layer = plan_.layers.at(static_cast<std::size_t>(slot.layer));
    layer.slots.at(static_cast<std::size_t>(slot.projection)) = &slot - slots.data();
    plan_.parameters = slot.b + slot.rank * slot.out;
    widest = std::max(widest, slot.inner + slot.rank);
  }
  plan_.slots = std::move(slots);
  return widest;
}

// One inner buffer for all layers, as these follow one another.
void Planner::share_inner(std::int64_t width) {
  const BufferId inner = activation("LoRA inner", "forward", width, forward_life(Half::kBoth));
  for (LayerPlan& layer : plan_.layers) layer.forward.inner = inner;
}

// The head for the logits of one token.
void Planner::add_last_row() {
  const Lifetime life{head_tick(), head_tick()};
  HeadBuffers& head = plan_.head_buffers;
  head.normed = add("head normed", "head", {1, model_.hidden_size}, shape_.compute, life);
  head.rstd = add("head rstd", "head", {1}, DType::kF32, life);
}

GradientNeeds Planner::needs_of(std::int64_t layer) const {
  GradientNeeds needs;
  needs.x = layer > first_;
  needs.qkv = needs.x || is_target(Projection::kQ) || is_target(Projection::kK) ||
              is_target(Projection::kV) || is_target(Projection::kQkv);
  needs.attention = needs.qkv;
  needs.x_mid = needs.attention || is_target(Projection::kO);
  needs.gate_up = needs.x_mid || is_target(Projection::kGate) || is_target(Projection::kUp) ||
                  is_target(Projection::kGateUp);
  needs.swiglu = needs.gate_up;
  return needs;
}

LayerWeights Planner::layer_weights(std::int64_t layer) {
  const std::string name = fmt::format("layer {} weights ", layer);
  LayerWeights w;
  w.input_norm = vector_weight(name + "input norm", model_.hidden_size);
  w.qkv = linear(name + "q,k,v", qkv_width(), model_.hidden_size);
  if (model_.qkv_bias) w.qkv_bias = vector_weight(name + "q,k,v bias", qkv_width());
  if (model_.qk_norm) {
    w.q_norm = vector_weight(name + "q norm", model_.head_dim);
    w.k_norm = vector_weight(name + "k norm", model_.head_dim);
  }
  w.o = linear(name + "o", model_.hidden_size, model_.q_width());
  if (model_.o_bias) w.o_bias = vector_weight(name + "o bias", model_.hidden_size);
  if (model_.output_norms) w.o_norm = vector_weight(name + "o norm", model_.hidden_size);
  w.post_norm = vector_weight(name + "post-attention norm", model_.hidden_size);
  w.gate_up = linear(name + "gate,up", 2 * model_.intermediate_size, model_.hidden_size);
  w.down = linear(name + "down", model_.hidden_size, model_.intermediate_size);
  if (model_.mlp_bias) {
    w.gate_up_bias = vector_weight(name + "gate,up bias", 2 * model_.intermediate_size);
    w.down_bias = vector_weight(name + "down bias", model_.hidden_size);
  }
  if (model_.output_norms) w.down_norm = vector_weight(name + "down norm", model_.hidden_size);
  return w;
}

void Planner::add_weights() {
  plan_.embedding = weight("embedding weights", model_.vocab_size, model_.hidden_size);
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    plan_.layers[static_cast<std::size_t>(layer)].weights = layer_weights(layer);
  }
  plan_.final_norm = vector_weight("final norm weights", model_.hidden_size);
  plan_.head = model_.tied_embeddings
                   ? plan_.embedding
                   : weight("head weights", model_.vocab_size, model_.hidden_size);
}

void Planner::add_adapter() {
  const auto flat = [&](const char* name, std::string_view phase, DType dtype) {
    return add(name, phase, {plan_.parameters}, dtype, always());
  };
  AdapterBuffers& adapter = plan_.adapter;
  adapter.parameters = flat("adapter parameters", "adapter", DType::kF32);
  adapter.compute = shape_.compute == DType::kF32
                        ? adapter.parameters
                        : flat("adapter compute copy", "adapter", shape_.compute);
  adapter.gradients = flat("adapter gradients", "adapter", DType::kF32);
  adapter.first_moments = flat("Adam first moments", "optimizer", DType::kF32);
  adapter.second_moments = flat("Adam second moments", "optimizer", DType::kF32);
}

void Planner::add_nf4_scratch() {
  std::int64_t panel = 0;
  std::int64_t width = 0;
  for (const FrozenProduct& matrix : frozen_projections(model_)) {
    const auto direction = [&](std::int64_t outer, std::int64_t inner) {
      const std::int64_t count = nf4_panel(outer, inner);
      panel = std::max(panel, count * inner);
      if (count < outer) width = std::max(width, count);
    };
    direction(matrix.out, matrix.in);
    direction(matrix.in, matrix.out);
  }
  const Lifetime life{1, last_backward()};
  plan_.nf4_panel = add("dequantized panel", "forward", {panel}, shape_.compute, life);
  plan_.nf4_result = activation("panel's product", "forward", width, life);
}

void Planner::add_constants() {
  const auto tables = std::ssize(ropes_of(model_, rope_positions_));
  const std::vector<std::int64_t> table{tables * rope_positions_, model_.turned() / 2};
  plan_.rope_cos = add("rope cos", "forward", table, DType::kF32, always());
  plan_.rope_sin = add("rope sin", "forward", table, DType::kF32, always());
  plan_.positions = add("positions", "forward", {tokens_}, DType::kI32, always());
  const Bytes products = Gemm::scratch_bound(shape_.threads);
  plan_.gemm_scratch = add("product scratch", "forward",
                           {static_cast<std::int64_t>(products.count)}, DType::kU8, always());
  if (quantized()) add_nf4_scratch();
  const Lifetime in_attention{1, last_backward(), Half::kAttention};
  if (lora_.dropout > 0) {
    std::int64_t widest = 0;
    for (const Projection target : lora_.targets) {
      widest = std::max(widest, shape_of(model_, target).in);
    }
    plan_.dropout =
        activation("LoRA dropout", "forward", widest, {forward_tick(first_), last_backward()});
  }
  const Bytes attention = attention_scratch(attention_of(0), shape_.compute, tokens_,
                                            shape_.longest_row, shape_.threads);
  plan_.attention_scratch =
      add("attention scratch", "forward", {static_cast<std::int64_t>(attention.count)}, DType::kU8,
          in_attention);
  if (!model_.qk_norm) return;
  plan_.normed_qk =
      activation("normed q,k", "forward", model_.q_width() + model_.kv_width(), in_attention);
  plan_.normed_qk_rstd = add("normed q,k rstd", "forward",
                             {model_.heads + model_.kv_heads, tokens_}, DType::kF32, in_attention);
}

// The buffers of one layer's forward, without x, x_mid and x_out. `attention` and `mlp` are the
// lives of what is needed until the end of the attention's and of the MLP's backward.
LayerActivations Planner::activations(const std::string& name, std::string_view phase,
                                      Lifetime attention, Lifetime mlp) {
  LayerActivations a;
  a.input_rstd = add(name + "input rstd", phase, {tokens_}, DType::kF32, attention);
  a.qkv = activation(name + "q,k,v", phase, qkv_width(), attention);
  a.attention = activation(name + "attention", phase, model_.q_width(), attention);
  a.log_sum_exp =
      add(name + "attention log-sum-exp", phase, {model_.heads, tokens_}, DType::kF32, attention);
  a.post_rstd = add(name + "post-attention rstd", phase, {tokens_}, DType::kF32, mlp);
  a.gate_up = activation(name + "gate,up", phase, 2 * model_.intermediate_size, mlp);
  if (!model_.output_norms) return a;
  a.o = activation(name + "o", phase, model_.hidden_size, attention);
  a.o_rstd = add(name + "o rstd", phase, {tokens_}, DType::kF32, attention);
  a.down = activation(name + "down", phase, model_.hidden_size, mlp);
  a.down_rstd = add(name + "down rstd", phase, {tokens_}, DType::kF32, mlp);
  return a;
}

// What every layer that saves nothing writes into, one after the other.
LayerActivations Planner::shared_forward() {
  LayerActivations shared;
  shared.normed = activation("normed", "forward", model_.hidden_size, forward_life(Half::kBoth));
  shared.swiglu =
      activation("swiglu", "forward", model_.intermediate_size, forward_life(Half::kMlp));
  const std::int64_t streamed = checkpointing_ ? model_.layers : first_;
  if (streamed == 0) return shared;
  const auto life = [&](Half half) { return Lifetime{1, forward_tick(streamed - 1), half}; };
  const BufferId normed = shared.normed;
  const BufferId swiglu = shared.swiglu;
  shared = activations("streamed ", "forward", life(Half::kAttention), life(Half::kMlp));
  shared.normed = normed;
  shared.swiglu = swiglu;
  if (checkpointing_) {
    shared.inner = activation("streamed LoRA inner", "forward", inner_width(), life(Half::kBoth));
  }
  return shared;
}

void Planner::add_forward() {
  // The stream runs in place through the layers below LoRA, and is the lowest LoRA layer's input.
  const BufferId stream =
      activation("residual stream", "forward", model_.hidden_size, {0, last_backward()});
  const LayerActivations shared = shared_forward();
  BufferId x = stream;
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    LayerPlan& plan = plan_.layers[static_cast<std::size_t>(layer)];
    const bool has_lora = layer >= first_;
    const std::string name = fmt::format("layer {} ", layer);
    const Lifetime kept{forward_tick(layer), backward_tick(layer)};
    plan.recomputed = has_lora && checkpointing_;
    LayerActivations& a = plan.forward;
    if (!has_lora || checkpointing_) {
      a = shared;
    } else {
      a = activations(name, "forward", kept, kept);
      a.inner = activation(name + "LoRA inner", "forward", inner_width(), kept);
      a.normed = shared.normed;
      a.swiglu = shared.swiglu;
    }
    a.x = x;
    const bool is_last = layer + 1 == model_.layers;
    if (!has_lora) {
      a.x_out = stream;
    } else if (is_last) {
      a.x_out = activation("last layer's output", "forward", model_.hidden_size,
                           {forward_tick(layer), head_tick()});
    } else {
      a.x_out = activation(fmt::format("layer {} input", layer + 1), "forward", model_.hidden_size,
                           {forward_tick(layer), backward_tick(layer + 1)});
    }
    a.x_mid = has_lora && !checkpointing_
                  ? activation(name + "after attention", "forward", model_.hidden_size, kept)
                  : a.x_out;
    x = a.x_out;
  }
  plan_.final_x = x;
}

void Planner::add_head() {
  const Lifetime life{head_tick(), head_tick()};
  const auto fitting =
      static_cast<std::int64_t>(kHeadGradient.count / sizeof(float)) / model_.hidden_size;
  const auto power = static_cast<std::int64_t>(
      std::bit_floor(static_cast<std::uint64_t>(std::max(kLeastChunk, fitting))));
  HeadBuffers& head = plan_.head_buffers;
  constexpr std::int64_t kUnit = HeadBuffers::kRowUnit;
  head.chunk = std::min((tokens_ + kUnit - 1) / kUnit * kUnit, power);
  head.block = std::min(head.chunk, kHeadBlock);
  head.panel = head_panel(model_);
  const auto buffer = [&](const char* name, std::vector<std::int64_t> dims, DType dtype) {
    return add(name, "head", std::move(dims), dtype, life);
  };
  const auto column = [&](const char* name, DType dtype) {
    return buffer(name, {head.chunk}, dtype);
  };
  head.normed = buffer("head chunk normed", {head.chunk, model_.hidden_size}, shape_.compute);
  head.gradient =
      buffer("head chunk normed gradient", {head.chunk, model_.hidden_size}, DType::kF32);
  head.logits = buffer("head panel logits", {head.block, head.panel}, DType::kF32);
  head.weights = shape_.compute == DType::kF32
                     ? head.logits
                     : buffer("head panel weights", {head.block, head.panel}, shape_.compute);
  head.corrections = buffer("head panel corrections", {head.block}, DType::kF32);
  head.targets = column("head chunk targets", DType::kI32);
  head.rstd = column("head chunk rstd", DType::kF32);
  head.coefficients = column("head chunk coefficients", DType::kF32);
  head.losses = column("head chunk losses", DType::kF32);
  head.maximum = column("head chunk maximum", DType::kF32);
  head.sum = column("head chunk sum", DType::kF32);
  head.target_logit = column("head chunk target logit", DType::kF32);
}

// What a layer's forward writes when its backward runs it again.
LayerActivations Planner::recomputed() {
  const Lifetime both = backward_life(Half::kBoth);
  LayerActivations again = activations("recomputed ", "backward", both, backward_life(Half::kMlp));
  again.x_mid = activation("recomputed after attention", "backward", model_.hidden_size, both);
  again.inner = activation("recomputed LoRA inner", "backward", inner_width(), both);
  return again;
}

void Planner::add_backward() {
  const auto scratch = [&](const char* name, std::int64_t cols, Half half) {
    return activation(name, "backward", cols, backward_life(half));
  };
  BackwardScratch& b = plan_.backward;
  b.dx = activation("residual gradient", "backward", model_.hidden_size,
                    {head_tick(), last_backward()});
  b.d_attention = scratch("attention gradient", model_.q_width(), Half::kAttention);
  b.d_qkv = scratch("q,k,v gradient", qkv_width(), Half::kAttention);
  b.d_normed = scratch("normed gradient", model_.hidden_size, Half::kBoth);
  b.d_swiglu = scratch("swiglu gradient", model_.intermediate_size, Half::kMlp);
  b.d_inner = scratch("LoRA inner gradient", lora_.rank, Half::kBoth);
  LayerActivations again = checkpointing_ ? recomputed() : LayerActivations{};
  if (checkpointing_ || reads_normed()) {
    again.normed = scratch("normed again", model_.hidden_size, Half::kBoth);
  }
  // A norm of the MLP's output reads what down_proj makes of it, which is made again too.
  if (is_target(Projection::kDown) || (checkpointing_ && model_.output_norms)) {
    again.swiglu = scratch("swiglu again", model_.intermediate_size, Half::kMlp);
  }
  for (std::int64_t layer = first_; layer < model_.layers; ++layer) {
    LayerPlan& plan = plan_.layers[static_cast<std::size_t>(layer)];
    plan.backward = checkpointing_ ? again : plan.forward;
    plan.backward.x = plan.forward.x;
    plan.backward.x_out = {};
    plan.backward.normed = again.normed;
    plan.backward.swiglu = again.swiglu;
  }
}

}  // namespace

std::int64_t head_panel(const ModelConfig& model) { return std::min(model.vocab_size, kHeadPanel); }

StepPlan plan_step(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  check(model, lora, shape);
  return Planner(model, lora, shape).run();
}

StepPlan plan_forward(const ModelConfig& model, std::vector<LoraSlot> slots, const StepShape& shape,
                      std::int64_t positions) {
  check_quantization(model, shape);
  const LoraSettings none;  // no layer is trained, so that all of them stream
  return Planner(model, none, shape).run_forward(std::move(slots), positions);
}

Lifetime forward_lifetime(const ModelConfig& model) {
  return {0, 2 * static_cast<int>(model.layers) + 2};
}

MemoryPlan plan_memory(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  return plan_step(model, lora, shape).memory;
}

}  // namespace loadline
