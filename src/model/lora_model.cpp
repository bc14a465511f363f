#include "model/lora_model.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "base/error.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "model/adapter_state.h"
#include "model/frozen_weights.h"
#include "model/head.h"
#include "model/layer.h"
#include "model/prepared_weights.h"
#include "model/rope_table.h"
#include "model/step_plan.h"
#include "model/workspace.h"

namespace loadline {
namespace {

void check_rows(const Batch& batch, const StepShape& shape) {
  const auto tokens = static_cast<std::int64_t>(batch.ids.size());
  const auto rows = static_cast<std::int64_t>(batch.row_starts.size()) - 1;
  if (tokens < 1 || tokens > shape.tokens || rows < 1 || rows > shape.rows) {
    throw std::logic_error(fmt::format("a batch of {} tokens in {} rows for a step of {} in {}",
                                       tokens, rows, shape.tokens, shape.rows));
  }
  if (batch.row_starts.front() != 0 || batch.row_starts.back() != tokens) {
    throw std::logic_error("a batch's rows must cover its tokens");
  }
  for (std::size_t row = 1; row < batch.row_starts.size(); ++row) {
    const std::int64_t length = batch.row_starts[row] - batch.row_starts[row - 1];
    if (length < 1 || length > shape.longest_row) {
      throw std::logic_error(fmt::format("row {} has {} tokens, the longest may have {}", row - 1,
                                         length, shape.longest_row));
    }
  }
}

void check_ids(const Batch& batch, std::int64_t vocabulary) {
  const auto bad = [&](std::int32_t id) { return id < 0 || id >= vocabulary; };
  const auto id = std::find_if(batch.ids.begin(), batch.ids.end(), bad);
  if (id != batch.ids.end()) {
    throw bad_input(
        "token {} of the batch is {} but the model's vocabulary has {}. Does the tokenizer belong "
        "to this model?",
        id - batch.ids.begin(), *id, vocabulary);
  }
  const bool targets_bad =
      std::any_of(batch.targets.begin(), batch.targets.end(),
                  [&](std::int32_t target) { return target < -1 || target >= vocabulary; });
  if (targets_bad) throw std::logic_error("a target is neither -1 nor in the vocabulary");
}

void check_batch(const Batch& batch, const StepShape& shape, std::int64_t vocabulary) {
  if (batch.row_starts.size() < 2 || batch.targets.size() != batch.ids.size() ||
      batch.coefficients.size() != batch.ids.size()) {
    throw std::logic_error("a batch needs rows, and a target and a coefficient for each token");
  }
  check_rows(batch, shape);
  check_ids(batch, vocabulary);
}

// A token's place in its row, which is its row of the rope table; the second table follows the
// first.
void fill_positions(const Batch& batch, const ModelConfig& model, std::int64_t table_rows,
                    std::span<std::int32_t> positions) {
  for (std::size_t row = 1; row < batch.row_starts.size(); ++row) {
    const std::int32_t begin = batch.row_starts[row - 1];
    const std::int32_t end = batch.row_starts[row];
    const auto first =
        static_cast<std::int32_t>(takes_long_rope(model, end - begin) ? table_rows : 0);
    for (std::int32_t t = begin; t < end; ++t) {
      positions[static_cast<std::size_t>(t)] = first + t - begin;
    }
  }
}

}  // namespace

struct LoraModel::State {
  State(const ModelConfig& m, const LoraSettings& l, const StepShape& s)
      : model(m),
        lora(l),
        shape(s),
        plan(plan_step(m, l, s)),
        memory(
            plan.memory,
            "A smaller batch, rank or sequence length, or activation checkpointing, needs less") {
    if (plan.gemm_scratch.exists()) gemm.use_scratch(memory.bytes(plan.gemm_scratch));
    fill_rope_tables(ropes_of(model, shape.longest_row), shape.longest_row,
                     memory.floats(plan.rope_cos), memory.floats(plan.rope_sin));
  }

  enum class Mode { kTraining, kEvaluation, kBaseAlone };

  // Embedding and all layers: plan.final_x is the last one's output.
  Pass forward(const Batch& batch, Mode mode) {
    check_batch(batch, shape, model.vocab_size);
    const auto tokens = static_cast<std::int64_t>(batch.ids.size());
    const auto positions = memory.ints(plan.positions, tokens);
    fill_positions(batch, model, shape.longest_row, positions);
    const Pass pass{.model = model,
                    .plan = plan,
                    .memory = memory,
                    .gemm = gemm,
                    .tokens = tokens,
                    .row_starts = batch.row_starts,
                    .positions = positions,
                    .dropout = mode == Mode::kTraining ? lora.dropout : 0.0,
                    .dropout_seed = batch.dropout_seed,
                    .base_alone = mode == Mode::kBaseAlone};
    trunk_forward(pass, batch);
    for (std::size_t layer = first_lora_layer(); layer < plan.layers.size(); ++layer) {
      layer_forward(pass, plan.layers[layer]);
    }
    return pass;
  }

  // Embedding and the layers below LoRA, or what the trunk store has of them.
  void trunk_forward(const Pass& pass, const Batch& batch) {
    const View output = pass.rows(plan.layers[first_lora_layer()].forward.x);
    const auto bytes =
        std::span(static_cast<std::byte*>(output.data),
                  static_cast<std::size_t>(output.rows * output.cols) * size_of(output.dtype));
    const bool asks = trunk != nullptr && first_lora_layer() > 0 && !batch.row_keys.empty();
    if (asks && trunk->load(batch, bytes)) return;
    embed(pass, batch.ids);
    for (std::size_t layer = 0; layer < first_lora_layer(); ++layer) {
      layer_forward(pass, plan.layers[layer]);
    }
    if (asks) trunk->store(batch, bytes);
  }

  void backward(const Pass& pass) {
    for (std::size_t layer = plan.layers.size(); layer-- > first_lora_layer();) {
      layer_backward(pass, plan.layers[layer]);
    }
  }

  [[nodiscard]] std::size_t first_lora_layer() const {
    return static_cast<std::size_t>(plan.first_lora_layer);
  }
  // All adapter parameters of a flat buffer as one row.
  [[nodiscard]] View flat(BufferId id) const { return memory.part(id, 0, 1, plan.parameters); }

  void refresh_compute_copies() {
    if (plan.adapter.compute != plan.adapter.parameters) {
      copy(flat(plan.adapter.parameters), flat(plan.adapter.compute));
    }
  }

  ModelConfig model;
  LoraSettings lora;
  StepShape shape;
  StepPlan plan;
  Workspace memory;
  Gemm gemm;
  TrunkStore* trunk = nullptr;
};

LoraModel::LoraModel(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
  set_threads(shape.threads);
  state_ = std::make_unique<State>(model, lora, shape);
}

LoraModel::~LoraModel() = default;

void LoraModel::load_weights(const WeightFiles& files) {
  load_frozen_weights(files, state_->model, state_->plan, state_->memory);
}

void LoraModel::load_weights(const WeightFiles& files, const std::filesystem::path& prepared) {
  load_prepared_weights(files, prepared, state_->model, state_->shape, state_->plan,
                        state_->memory);
}

void LoraModel::generate_weights(std::uint64_t seed) {
  generate_frozen_weights(seed, state_->plan, state_->memory);
}

void LoraModel::initialize_adapter(std::uint64_t seed) {
  initialize_parameters(state_->plan, seed, parameters());
  parameters_changed();
}

void LoraModel::load_adapter(const Adapter& adapter) {
  copy_from_adapter(adapter, state_->lora, state_->plan, parameters());
  parameters_changed();
}

Adapter LoraModel::adapter() const {
  return to_adapter(state_->lora, state_->plan,
                    state_->memory.floats(state_->plan.adapter.parameters));
}

void LoraModel::warm_up() {
  // A coefficient of 0 makes every gradient 0: what is added to gradients() changes nothing.
  const std::array<std::int32_t, 2> ids{0, 0};
  const std::array<std::int32_t, 2> targets{0, 0};
  const std::array<float, 2> coefficients{0, 0};
  const auto tokens =
      static_cast<std::size_t>(std::min<std::int64_t>(2, state_->shape.longest_row));
  const std::array<std::int32_t, 2> row_starts{0, static_cast<std::int32_t>(tokens)};
  const Batch batch{.ids = std::span(ids).first(tokens),
                    .row_starts = row_starts,
                    .targets = std::span(targets).first(tokens),
                    .coefficients = std::span(coefficients).first(tokens)};
  forward_backward(batch);
  evaluate(batch);
}

void LoraModel::use_trunk(TrunkStore* trunk) { state_->trunk = trunk; }

BatchLoss LoraModel::forward_backward(const Batch& batch) {
  const Pass pass = state_->forward(batch, State::Mode::kTraining);
  const BatchLoss loss = head_loss_and_gradient(pass, batch);
  state_->backward(pass);
  return loss;
}

BatchLoss LoraModel::evaluate(const Batch& batch) {
  return head_loss(state_->forward(batch, State::Mode::kEvaluation), batch);
}

BatchLoss LoraModel::evaluate_base(const Batch& batch) {
  return head_loss(state_->forward(batch, State::Mode::kBaseAlone), batch);
}

void LoraModel::last_logits(const Batch& batch, std::span<float> logits) {
  if (static_cast<std::int64_t>(logits.size()) != state_->model.vocab_size) {
    throw std::logic_error(
        fmt::format("{} logits for a vocabulary of {}", logits.size(), state_->model.vocab_size));
  }
  head_last_logits(state_->forward(batch, State::Mode::kEvaluation), logits);
}

std::span<float> LoraModel::parameters() {
  return state_->memory.floats(state_->plan.adapter.parameters);
}
std::span<float> LoraModel::gradients() {
  return state_->memory.floats(state_->plan.adapter.gradients);
}
std::span<float> LoraModel::first_moments() {
  return state_->memory.floats(state_->plan.adapter.first_moments);
}
std::span<float> LoraModel::second_moments() {
  return state_->memory.floats(state_->plan.adapter.second_moments);
}

void LoraModel::zero_gradients() { set_zero(state_->flat(state_->plan.adapter.gradients)); }

void LoraModel::update(const AdamW& settings, float gradient_scale, float b_rate_ratio) {
  const auto update_part = [&](const AdamW& part, std::int64_t first, std::int64_t count) {
    const auto at = [&](std::span<float> all) {
      return all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    };
    adamw_update(part, gradient_scale, at(gradients()), at(parameters()), at(first_moments()),
                 at(second_moments()));
  };
  if (b_rate_ratio == 1.0F) {
    update_part(settings, 0, state_->plan.parameters);
  } else {
    AdamW faster = settings;
    faster.learning_rate *= b_rate_ratio;
    for (const LoraSlot& slot : state_->plan.slots) {
      update_part(settings, slot.a, slot.b - slot.a);
      update_part(faster, slot.b, state_->lora.rank * slot.out);
    }
  }
  parameters_changed();
}

void LoraModel::parameters_changed() { state_->refresh_compute_copies(); }

const MemoryPlan& LoraModel::plan() const { return state_->plan.memory; }

std::size_t LoraModel::compiled_products() const { return state_->gemm.compiled(); }

Gemm& LoraModel::products() { return state_->gemm; }

}  // namespace loadline
