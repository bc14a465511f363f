// What a step writes: forward, head and backward, with its lifetimes.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "model/planner.h"

namespace loadline {
namespace {

// A chunk's gradient, whose sums stay in memory while panel after panel of words is multiplied: the
// larger it is, the fewer times all words are read.
constexpr Bytes kHeadGradient = 16_MiB;
constexpr std::int64_t kLeastChunk = 256;
// Logits of a block and a panel stay in the second-level caches of two cores.
constexpr std::int64_t kHeadBlock = 512;
constexpr std::int64_t kHeadPanel = 1024;

}  // namespace

// The buffers of one layer's forward, without x, x_mid and x_out. `attention` and `mlp` are the
// lives of what is needed until the end of the attention's and of the MLP's backward.
LayerActivations Planner::activations(const std::string& name, std::string_view phase,
                                      Lifetime attention, Lifetime mlp) {
  LayerActivations a;
  if (model_.input_norms) {
    a.input_rstd = add(name + "input rstd", phase, {tokens_}, DType::kF32, attention);
  }
  a.qkv = activation(name + "q,k,v", phase, qkv_width(), attention);
  a.attention = activation(name + "attention", phase, model_.q_width(), attention);
  a.log_sum_exp =
      add(name + "attention log-sum-exp", phase, {model_.heads, tokens_}, DType::kF32, attention);
  if (model_.input_norms) {
    a.post_rstd = add(name + "post-attention rstd", phase, {tokens_}, DType::kF32, mlp);
  }
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

// One inner buffer for all layers, as these follow one another.
void Planner::share_inner(std::int64_t width) {
  const BufferId inner = activation("LoRA inner", "forward", width, forward_life(Half::kBoth));
  for (LayerPlan& layer : plan_.layers) layer.forward.inner = inner;
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
  head.weights = shape_.compute == DType::kF32 || shape_.widens()
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

// The head for the logits of one token.
void Planner::add_last_row() {
  const Lifetime life{head_tick(), head_tick()};
  HeadBuffers& head = plan_.head_buffers;
  head.normed = add("head normed", "head", {1, model_.hidden_size}, shape_.compute, life);
  head.rstd = add("head rstd", "head", {1}, DType::kF32, life);
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
  const std::int64_t inners = shape_.widens() && !(lora_.dropout > 0) ? pairs_at_once() : 1;
  b.d_inner = scratch("LoRA inner gradient", inners * lora_.rank, Half::kBoth);
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

std::int64_t head_panel(const ModelConfig& model) { return std::min(model.vocab_size, kHeadPanel); }

}  // namespace loadline
