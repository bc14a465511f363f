#include "model/generation_plan.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/cached_attention.h"
#include "model/process_bytes.h"

namespace loadline {
namespace {

// The places of the pairs among the flat parameters, each with its own rank and scale.
std::vector<LoraSlot> slots_of(const AnyAdapter& adapter, const ModelConfig& model) {
  std::vector<LoraSlot> slots;
  std::int64_t next = 0;
  std::int64_t inner = 0;
  for (const ScaledPair& scaled : adapter.pairs) {
    if (!slots.empty() && slots.back().layer != scaled.pair.layer) inner = 0;
    const ProjectionShape size = shape_of(model, scaled.pair.projection);
    const std::int64_t b = next + scaled.rank * size.in;
    slots.push_back({.layer = scaled.pair.layer,
                     .projection = scaled.pair.projection,
                     .in = size.in,
                     .out = size.out,
                     .parts = size.parts,
                     .a = next,
                     .b = b,
                     .inner = inner,
                     .rank = scaled.rank,
                     .scale = static_cast<float>(scaled.scale())});
    next = b + scaled.rank * size.out;
    inner += scaled.rank;
  }
  return slots;
}

void check(const ModelConfig& model, const GenerationShape& shape) {
  if (shape.context < 1 || shape.context > model.max_positions) {
    throw usage_error("prompt and continuation have {} tokens, but the model has {} positions",
                      shape.context, model.max_positions);
  }
  if (shape.chunk < 1 || shape.chunk > shape.context) {
    throw usage_error("{} tokens at once for a context of {}", shape.chunk, shape.context);
  }
}

}  // namespace

GenerationPlan plan_generation(const ModelConfig& model, const AnyAdapter& adapter,
                               const GenerationShape& shape) {
  check(model, shape);
  const StepShape step{.tokens = shape.chunk,
                       .rows = 1,
                       .longest_row = shape.chunk,
                       .compute = shape.compute,
                       .quantize = shape.quantize,
                       .threads = shape.threads,
                       .widen = false,  // for one token the native product reads less
                       .tiles = false};
  GenerationPlan plan{.step = plan_forward(model, slots_of(adapter, model), step, shape.context),
                      .cache = {},
                      .cache_scratch = {},
                      .logits = {},
                      .probabilities = {},
                      .order = {}};
  MemoryPlan& memory = plan.step.memory;
  const Lifetime always = forward_lifetime(model);
  const auto cache = [&](std::int64_t layer, const char* what) {
    return memory.add(fmt::format("layer {} {} cache", layer, what), "cache",
                      {shape.context, model.kv_width()}, shape.compute, always);
  };
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    plan.cache.push_back({.keys = cache(layer, "key"), .values = cache(layer, "value")});
  }
  const Bytes scratch = cached_attention_scratch(plan.step.layers.front().attention, shape.compute,
                                                 shape.context, shape.threads);
  plan.cache_scratch = memory.add("cached attention scratch", "forward",
                                  {static_cast<std::int64_t>(scratch.count)}, DType::kU8, always);
  plan.logits = memory.add("logits", "head", {model.vocab_size}, DType::kF32, always);
  plan.probabilities = memory.add("probabilities", "head", {model.vocab_size}, DType::kF32, always);
  plan.order = memory.add("tokens by probability", "head", {model.vocab_size}, DType::kI32, always);
  add_generation_lines(model, step, plan.step);
  if (shape.tokenizer.count > 0) memory.add_process("tokenizer", shape.tokenizer);
  memory.place();
  if (shape.before_arena > memory.total().bytes) {
    memory.add_process("reading the tokenizer, beyond all else",
                       shape.before_arena - memory.total().bytes);
  }
  return plan;
}

}  // namespace loadline
