#include "model/generator.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "model/frozen_weights.h"
#include "model/head.h"
#include "model/layer.h"
#include "model/prepared_weights.h"
#include "model/rope_table.h"
#include "model/workspace.h"

namespace loadline {
namespace {

// A prompt's tokens. Tiles would pack all weights for each token of an answer.
constexpr std::int64_t kFewestInTiles = 32;

ConstView flat(const std::vector<float>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return {values.data(), DType::kF32, 1, count, count};
}

}  // namespace

struct Generator::State {
  State(const ModelConfig& m, const AnyAdapter& adapter, const GenerationShape& s)
      : model(m),
        shape(s),
        plan(plan_generation(m, adapter, s)),
        memory(plan.step.memory, "A shorter prompt or answer, bf16 or nf4 needs less") {
    gemm.use_scratch(memory.bytes(plan.step.gemm_scratch));
    fill_rope_tables(ropes_of(model, shape.context), shape.context,
                     memory.floats(plan.step.rope_cos), memory.floats(plan.step.rope_sin));
    for (std::size_t i = 0; i < adapter.pairs.size(); ++i) {
      take(plan.step.slots[i], adapter.pairs[i].pair);
    }
  }

  void take(const LoraSlot& slot, const LoraPair& pair) {
    const auto put = [&](const std::vector<float>& values, std::int64_t first, std::int64_t count) {
      if (static_cast<std::int64_t>(values.size()) != count) {
        throw bad_input("the adapter's layer {} {} has {} elements but the model needs {}",
                        slot.layer, name_of(slot.projection), values.size(), count);
      }
      copy(flat(values), memory.part(plan.step.adapter.compute, first, 1, count));
    };
    put(pair.a, slot.a, slot.rank * slot.in);
    put(pair.b, slot.b, slot.rank * slot.out);
  }

  // At most shape.chunk tokens.
  void feed_chunk(std::span<const std::int32_t> ids) {
    const auto tokens = static_cast<std::int64_t>(ids.size());
    const auto positions = memory.ints(plan.step.positions, tokens);
    std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first_rope + past));
    const std::array<std::int32_t, 2> row_starts{0, static_cast<std::int32_t>(tokens)};
    const KeyValueCache cache{.layers = plan.cache, .past = past, .scratch = plan.cache_scratch};
    const Pass pass{.model = model,
                    .plan = plan.step,
                    .memory = memory,
                    .gemm = gemm,
                    .tokens = tokens,
                    .row_starts = row_starts,
                    .positions = positions,
                    .cache = &cache};
    embed(pass, ids);
    for (const LayerPlan& layer : plan.step.layers) layer_forward(pass, layer);
    past += tokens;
    if (past == end) head_last_logits(pass, memory.floats(plan.logits));
  }

  void check(std::span<const std::int32_t> ids) const {
    const auto count = static_cast<std::int64_t>(ids.size());
    if (count < 1 || past + count > shape.context) {
      throw std::logic_error(
          fmt::format("{} tokens after {} for a context of {}", count, past, shape.context));
    }
    const auto bad = std::find_if(
        ids.begin(), ids.end(), [&](std::int32_t id) { return id < 0 || id >= model.vocab_size; });
    if (bad == ids.end()) return;
    throw bad_input(
        "token {} is {}, but the model's vocabulary has {}. Does the tokenizer belong to this "
        "model?",
        bad - ids.begin(), *bad, model.vocab_size);
  }

  ModelConfig model;
  GenerationShape shape;
  GenerationPlan plan;
  Workspace memory;
  Gemm gemm{kFewestInTiles};
  // Prompt and answer together decide which of longrope's tables is taken, as keys are kept turned.
  std::int64_t first_rope = takes_long_rope(model, shape.context) ? shape.context : 0;
  std::int64_t past = 0;
  std::int64_t end = 0;  // of what feed() was given
};

Generator::Generator(const ModelConfig& model, const AnyAdapter& adapter,
                     const GenerationShape& shape) {
  set_threads(shape.threads);
  state_ = std::make_unique<State>(model, adapter, shape);
}

Generator::~Generator() = default;

void Generator::load_weights(const WeightFiles& files) {
  load_frozen_weights(files, state_->model, state_->plan.step, state_->memory);
}

void Generator::load_weights(const WeightFiles& files, const std::filesystem::path& prepared) {
  const StepShape shape{.compute = state_->shape.compute, .quantize = state_->shape.quantize};
  load_prepared_weights(files, prepared, state_->model, shape, state_->plan.step, state_->memory);
}

void Generator::warm_up() {
  const std::array<std::int32_t, 1> ids{0};
  restart();
  feed(ids);
  restart();
}

std::span<const float> Generator::feed(std::span<const std::int32_t> ids,
                                       const std::function<bool()>& stop_requested) {
  state_->check(ids);
  state_->end = state_->past + static_cast<std::int64_t>(ids.size());
  const auto chunk = static_cast<std::size_t>(state_->shape.chunk);
  for (std::size_t done = 0; done < ids.size(); done += chunk) {
    if (stop_requested && stop_requested()) return {};
    state_->feed_chunk(ids.subspan(done, std::min(chunk, ids.size() - done)));
  }
  return state_->memory.floats(state_->plan.logits);
}

std::int32_t Generator::sample(const SamplingSettings& settings, double uniform) {
  const GenerationPlan& plan = state_->plan;
  return sample_token(state_->memory.floats(plan.logits), settings, uniform,
                      state_->memory.floats(plan.probabilities),
                      state_->memory.ints(plan.order, state_->model.vocab_size));
}

std::int64_t Generator::position() const { return state_->past; }

void Generator::restart() { state_->past = state_->end = 0; }

const MemoryPlan& Generator::plan() const { return state_->plan.step.memory; }

std::size_t Generator::compiled_products() const { return state_->gemm.compiled(); }

}  // namespace loadline
