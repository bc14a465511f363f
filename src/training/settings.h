// One training run, validated once: what `train` runs and what a trial's worker runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/dtype.h"
#include "base/json_fwd.h"
#include "checkpoint/adapter.h"
#include "model/memory_plan.h"

namespace loadline {

enum class LearningRateSchedule : std::uint8_t { kConstant, kLinear, kCosine };
enum class DistrustMode : std::uint8_t { kOff, kAdditive, kWeighted };
// kWorstFirst, for trials: the longest batch that the data can produce comes first, and once more,
// then the rows in the data's own order. Its evaluations take the longest validation rows, of the
// training rows where there are no others, so that every trial evaluates.
// kBalanced: kShuffled's epochs, cut so that all batches have about the same number of tokens, and
// every target of an epoch weighs the same: see EffectiveBatch.
enum class RowOrder : std::uint8_t { kShuffled, kFile, kWorstFirst, kBalanced };

struct DistrustSettings {
  DistrustMode mode = DistrustMode::kAdditive;
  double alpha = 2.7;   // in [2.3, 3.0]
  double lambda = 1.0;  // >= 0
};

// Rows and tokens of a whole run are counted in 63 bits.
inline constexpr std::int64_t kMostUpdates = 1'000'000'000;
// Of a batch, and of the batches of an update.
inline constexpr std::int64_t kMostBatch = 1 << 20;

// Of a trial whose steps are slow: the longest batch twice, and one more.
inline constexpr std::int64_t kLeastTrialSteps = 3;

struct TrainingSettings {
  std::filesystem::path model;  // Hugging Face folder
  // What its adapters are said to belong to: ORG/NAME of the Hub, and the revision where one was
  // asked for; else that folder. No part of a trial.
  std::string base_model, base_revision;
  std::filesystem::path train_rows;  // packed files
  std::optional<std::filesystem::path> valid_rows;
  std::optional<std::filesystem::path> test_rows;  // evaluated once, after the last update
  std::int64_t batch_size = 1;                     // the micro-batch: what was measured
  std::int64_t grad_accumulation_steps = 1;
  std::int64_t max_steps = 1000;  // optimizer updates
  std::int64_t max_seq_length = 2048;
  LoraSettings lora;
  DType compute = DType::kF32;
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kOff;
  Quantization quantize = Quantization::kNone;
  int threads = 1;
  double learning_rate = 1e-4;
  double lora_plus_ratio = 1.0;  // LoRA+: B's learning rate is this many times A's
  std::int64_t warmup_steps = 0;
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;  // 0: no clipping
  DistrustSettings distrust;
  std::uint64_t seed = 0;
  RowOrder order = RowOrder::kShuffled;
  // With kWorstFirst: the run ends once its steps took this long together, after kLeastTrialSteps
  // at the earliest; 0: never.
  double enough_seconds = 0;
  // Random weights of the model's shapes instead of its files'.
  bool generated_weights = false;
  std::int64_t steps_per_report = 10;
  std::int64_t steps_per_eval = 200;  // 0: only at the end
  std::int64_t eval_batches = 0;      // 0: all of the validation rows
  // Evaluations in a row without a new best that end the run; 0: none do. No part of a trial.
  std::int64_t patience = 0;
  std::int64_t save_every = 100;  // updates, or 15 minutes of them; 0: only at the end
  // Where quantized weights are kept for the next run (docs/prepared-weights.md).
  std::optional<std::filesystem::path> prepared_weights;
  std::int64_t keep_checkpoints = 2;  // the latest included
  bool trunk_cache = false;           // training/trunk_cache.h
  std::filesystem::path adapter_path;
  AdapterFormat adapter_format = AdapterFormat::kPeft;  // of what is saved there
  // Starts a new run from an adapter's weights: nothing else of the run that made it is taken.
  std::optional<std::filesystem::path> resume_adapter_file;
  // Continues the run in adapter_path from its last checkpoint, with the same threads to the last
  // bit as if it had never stopped (docs/training-state.md). Contradicts resume_adapter_file.
  bool resume = false;

  [[nodiscard]] bool is_trial() const { return order == RowOrder::kWorstFirst; }
};

// Throws Error(kUsage) naming the flag, the value and the allowed range: batch size, rank, steps,
// rates, alpha, and what contradicts. With RowOrder::kWorstFirst warmup_steps may pass max_steps: a
// trial is the first updates of a longer run.
void validate(const TrainingSettings& settings, const ModelConfig& model);
// The part of it that needs no model: --resume and --resume-adapter-file contradict.
void validate_resumption(const TrainingSettings& settings);

// The worker reads its settings from a file: exact round trip. Reading throws Error(kBadInput)
// naming `source` and the key for a missing, unknown or impossible value.
Json to_json(const TrainingSettings& settings);
TrainingSettings training_settings_from_json(const Json& document, const std::string& source);

// "constant", "additive", "worst_first": as flags and JSON spell them.
std::string_view name_of(LearningRateSchedule schedule);
std::string_view name_of(DistrustMode mode);
std::string_view name_of(RowOrder order);

}  // namespace loadline
