#include "training/settings.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "checkpoint/adapter_claims.h"

namespace loadline {
namespace {

constexpr double kMost = std::numeric_limits<double>::max();
// Rows and tokens are counted in 63 bits; their products over a whole run must fit.
constexpr std::int64_t kMostCount = 1'000'000'000;

void require_count(std::string_view flag, std::int64_t value, std::int64_t least,
                   std::int64_t most) {
  if (value < least || value > most) {
    throw usage_error("{} {}: must be between {} and {}", flag, value, least, most);
  }
}

// Written so that a NaN is refused too.
void require_rate(std::string_view flag, double value, double least, double most) {
  if (!(value >= least && value <= most)) {
    if (most == kMost)
      throw usage_error("{} {}: must be a number not below {}", flag, value, least);
    throw usage_error("{} {}: must be between {} and {}", flag, value, least, most);
  }
}

void require_positive(std::string_view flag, double value) {
  if (!(value > 0 && value <= kMost)) {
    throw usage_error("{} {}: must be a number above 0", flag, value);
  }
}

void validate_lora(const LoraSettings& lora, const ModelConfig& model) {
  require_count("--lora-rank", lora.rank, 1, 16384);
  // What is written must be read again.
  require_rate("--lora-alpha", lora.alpha, kLeastAlpha, kMostAlpha);
  if (lora.layers < 1 || lora.layers > model.layers) {
    throw usage_error("--lora-layers {}: the model has {} layers, so 1 to {}, or -1 for all",
                      lora.layers, model.layers, model.layers);
  }
  require_rate("--lora-dropout", lora.dropout, 0, 0.95);
  if (lora.targets.empty()) {
    throw usage_error("--target-modules: names no module; choose among {}, or attention, or all",
                      names_of(projections_of(model)));
  }
}

void validate_steps(const TrainingSettings& s) {
  require_count("--batch-size", s.batch_size, 1, kMostBatch);
  require_count("--grad-accumulation-steps", s.grad_accumulation_steps, 1, kMostBatch);
  require_count("--max-steps", s.max_steps, 1, kMostUpdates);
  require_rate("enough_seconds", s.enough_seconds, 0, kMost);
  require_count("--max-seq-length", s.max_seq_length, 2, 1 << 24);
  require_count("--steps-per-report", s.steps_per_report, 1, kMostCount);
  require_count("--steps-per-eval", s.steps_per_eval, 0, kMostCount);
  require_count("--val-batches", s.eval_batches, 0, kMostCount);
  require_count("--early-stopping-patience", s.patience, 0, kMostCount);
  require_count("--save-every", s.save_every, 0, kMostCount);
  require_count("--keep-checkpoints", s.keep_checkpoints, 1, kMostCount);
  if (s.batch_size * s.grad_accumulation_steps > (1 << 24)) {
    throw usage_error(
        "--batch-size {} x --grad-accumulation-steps {}: an update may take at most {} rows",
        s.batch_size, s.grad_accumulation_steps, 1 << 24);
  }
}

void validate_rates(const TrainingSettings& s) {
  require_positive("--learning-rate", s.learning_rate);
  require_rate("--lora-plus-ratio", s.lora_plus_ratio, 1e-3, 1e3);
  require_rate("--weight-decay", s.weight_decay, 0, kMost);
  require_rate("--max-grad-norm", s.max_grad_norm, 0, kMost);
  require_rate("--distrust-alpha", s.distrust.alpha, 2.3, 3.0);
  require_rate("--distrust-lambda", s.distrust.lambda, 0, kMost);
  require_count("--warmup-steps", s.warmup_steps, 0, kMostCount);
  if (s.warmup_steps > s.max_steps && !s.is_trial()) {
    throw usage_error(
        "--warmup-steps {}: more than the {} of --max-steps, so that the learning "
        "rate would never be reached",
        s.warmup_steps, s.max_steps);
  }
}

}  // namespace

void validate_resumption(const TrainingSettings& s) {
  if (s.resume && s.resume_adapter_file) {
    throw usage_error(
        "--resume and --resume-adapter-file {}: --resume continues the run in {} with its own "
        "adapter and optimizer state, --resume-adapter-file starts a new run from an adapter; "
        "leave one out",
        s.resume_adapter_file->string(), s.adapter_path.string());
  }
}

void validate(const TrainingSettings& settings, const ModelConfig& model) {
  validate_resumption(settings);
  validate_steps(settings);
  validate_lora(settings.lora, model);
  validate_rates(settings);
  if (settings.trunk_cache && settings.lora.layers == model.layers) {
    throw usage_error(
        "--trunk-cache on: all {} layers have LoRA, so there is no frozen trunk below them. Leave "
        "it out, or give fewer --lora-layers",
        model.layers);
  }
  require_count("--threads", settings.threads, 1, 4096);
  if (settings.compute != DType::kF32 && settings.compute != DType::kBf16) {
    throw usage_error("--compute-dtype {}: must be f32 or bf16", name_of(settings.compute));
  }
}

std::string_view name_of(LearningRateSchedule schedule) {
  switch (schedule) {
    case LearningRateSchedule::kConstant:
      return "constant";
    case LearningRateSchedule::kLinear:
      return "linear";
    case LearningRateSchedule::kCosine:
      return "cosine";
  }
  return "?";
}

std::string_view name_of(DistrustMode mode) {
  switch (mode) {
    case DistrustMode::kOff:
      return "off";
    case DistrustMode::kAdditive:
      return "additive";
    case DistrustMode::kWeighted:
      return "weighted";
  }
  return "?";
}

std::string_view name_of(RowOrder order) {
  switch (order) {
    case RowOrder::kShuffled:
      return "shuffled";
    case RowOrder::kFile:
      return "file";
    case RowOrder::kWorstFirst:
      return "worst_first";
    case RowOrder::kBalanced:
      return "balanced";
  }
  return "?";
}

}  // namespace loadline
