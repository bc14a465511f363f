// The memory plan of generating text: weights, an adapter, the key-value cache, and the activations
// of as many tokens as go through the model at once.
#pragma once

#include <cstdint>
#include <vector>

#include "checkpoint/adapter.h"
#include "model/key_value_cache.h"
#include "model/step_plan.h"

namespace loadline {

struct GenerationShape {
  std::int64_t context = 0;  // prompt and continuation together, in tokens
  std::int64_t chunk = 0;    // the most tokens that go through the model at once
  DType compute = DType::kF32;
  Quantization quantize = Quantization::kNone;  // of the frozen projections
  int threads = 1;
  Bytes tokenizer = {};     // what the process holds beside the model's
  Bytes before_arena = {};  // its peak before that is mapped: while the tokenizer is read
};

struct GenerationPlan {
  StepPlan step;
  std::vector<KeyValueBuffers> cache;  // by layer
  BufferId cache_scratch;
  BufferId logits;         // (V) f32
  BufferId probabilities;  // (V) f32, scratch of sampling
  BufferId order;          // (V) i32, scratch of sampling
};

// `adapter` may have no pairs. Throws Error(kUsage) naming the value when the shape is impossible
// for this model.
GenerationPlan plan_generation(const ModelConfig& model, const AnyAdapter& adapter,
                               const GenerationShape& shape);

}  // namespace loadline
