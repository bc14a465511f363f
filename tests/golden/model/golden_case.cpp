#include "golden/model/golden_case.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/json.h"
#include "checkpoint/weights.h"
#include "kernels/adamw.h"
#include "training/update.h"

namespace loadline::golden {

void OwnedBatch::add_row(std::span<const std::int32_t> ids, std::span<const std::int32_t> targets) {
  ids_.insert(ids_.end(), ids.begin(), ids.end());
  targets_.insert(targets_.end(), targets.begin(), targets.end());
  row_starts_.push_back(static_cast<std::int32_t>(ids_.size()));
  set_coefficients(1.0F / static_cast<float>(std::max<std::int64_t>(1, this->targets())));
}

void OwnedBatch::add_row(std::span<const std::int32_t> ids) {
  std::vector<std::int32_t> next(ids.begin() + 1, ids.end());
  next.push_back(-1);
  add_row(ids, next);
}

void OwnedBatch::set_coefficients(float value) { coefficients_.assign(ids_.size(), value); }

std::int64_t OwnedBatch::targets() const {
  return std::count_if(targets_.begin(), targets_.end(), [](std::int32_t t) { return t >= 0; });
}

Batch OwnedBatch::view() const {
  return {
      .ids = ids_, .row_starts = row_starts_, .targets = targets_, .coefficients = coefficients_};
}

OwnedBatch OwnedBatch::rows(std::size_t first, std::size_t count) const {
  OwnedBatch part;
  for (std::size_t row = first; row < first + count; ++row) {
    const auto begin = static_cast<std::size_t>(row_starts_[row]);
    const auto size = static_cast<std::size_t>(row_starts_[row + 1]) - begin;
    part.add_row(std::span(ids_).subspan(begin, size), std::span(targets_).subspan(begin, size));
  }
  part.set_coefficients(coefficients_.at(0));
  return part;
}

std::vector<std::string> case_names() {
  return {"llama_gqa_tied",   "llama3_rope_untied", "qwen2_bias",    "mistral_window_mlp",
          "mistral_window_o", "llama_all_biases",   "qwen3_qk_norm", "phi3_fused_longrope",
          "gemma2_softcaps",  "gemma3_two_ropes",   "llama_nf4",     "granite_multipliers",
          "smollm3_no_rope",  "olmo2_norms_after",  "olmo2_nf4"};
}

GoldenCase read_case(const std::string& name) {
  GoldenCase golden;
  golden.folder = source_folder() / "tests/golden/model/data" / name;
  golden.config = read_config(golden.folder);
  golden.before = read_adapter(golden.folder / "before", golden.config);
  golden.after = read_adapter(golden.folder / "after", golden.config);
  const Json document = read_json(golden.folder / "steps.json");
  const Json& adamw = document.at("adamw");
  if (document.value("quantize", "none") == "nf4") golden.quantize = Quantization::kNf4;
  golden.adamw = {.learning_rate = adamw.at("learning_rate").get<float>(),
                  .beta1 = adamw.at("beta1").get<float>(),
                  .beta2 = adamw.at("beta2").get<float>(),
                  .epsilon = adamw.at("epsilon").get<float>(),
                  .weight_decay = adamw.at("weight_decay").get<float>()};
  golden.max_grad_norm = adamw.at("max_grad_norm").get<double>();
  for (const Json& step : document.at("steps")) {
    GoldenStep& into = golden.steps.emplace_back();
    into.loss = step.at("loss").get<double>();
    into.grad_norm = step.at("grad_norm").get<double>();
    for (const Json& row : step.at("rows")) {
      into.batch.add_row(row.at("ids").get<std::vector<std::int32_t>>(),
                         row.at("targets").get<std::vector<std::int32_t>>());
    }
  }
  return golden;
}

StepShape shape_for(const GoldenCase& golden, DType compute,
                    ActivationCheckpointing checkpointing) {
  StepShape shape{.rows = 3,
                  .longest_row = 40,
                  .compute = compute,
                  .checkpointing = checkpointing,
                  .quantize = golden.quantize,
                  .threads = 1};
  for (const GoldenStep& step : golden.steps) {
    shape.tokens = std::max(shape.tokens, step.batch.tokens());
  }
  return shape;
}

std::unique_ptr<LoraModel> load_model(const GoldenCase& golden, const StepShape& shape) {
  auto model = std::make_unique<LoraModel>(golden.config, golden.before.lora, shape);
  model->load_weights(WeightFiles(golden.folder));
  model->load_adapter(golden.before);
  return model;
}

Stepped run_step(LoraModel& model, const GoldenCase& golden, std::size_t step) {
  model.zero_gradients();
  const BatchLoss loss = model.forward_backward(golden.steps[step].batch.view());
  const double norm = std::sqrt(squared_norm(model.gradients()));
  AdamW adamw = golden.adamw;
  adamw.step = static_cast<std::int64_t>(step) + 1;
  model.update(adamw, static_cast<float>(clip_factor(norm, golden.max_grad_norm)));
  return {.loss = loss.cross_entropy / static_cast<double>(loss.targets), .grad_norm = norm};
}

}  // namespace loadline::golden
