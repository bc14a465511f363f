#include "model/step_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "kernels/nf4.h"

namespace loadline {
namespace {

void require(bool holds, const char* what, std::int64_t value, const std::string& range) {
  if (!holds) throw usage_error("{} is {} but must be {}", what, value, range);
}

}  // namespace

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

void check_step(const ModelConfig& model, const LoraSettings& lora, const StepShape& shape) {
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

}  // namespace loadline
