// One training run, validated once: what `train` runs and what a trial's worker runs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/dtype.h"
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "model/memory_plan.h"

namespace loadline {

enum class LearningRateSchedule : std::uint8_t { kConstant, kLinear, kCosine };
enum class DistrustMode : std::uint8_t { kOff, kAdditive, kWeighted };
// kWorstFirst: the longest batches that the data can produce come first, then the data's own order.
enum class RowOrder : std::uint8_t { kShuffled, kFile, kWorstFirst };

struct DistrustSettings {
  DistrustMode mode = DistrustMode::kAdditive;
  double alpha = 2.7;   // in [2.3, 3.0]
  double lambda = 1.0;  // >= 0
};

struct TrainingSettings {
  std::filesystem::path model;       // Hugging Face folder
  std::filesystem::path train_rows;  // packed files
  std::optional<std::filesystem::path> valid_rows;
  std::int64_t batch_size = 1;  // the micro-batch: what was measured
  std::int64_t grad_accumulation_steps = 1;
  std::int64_t max_steps = 1000;  // optimizer updates
  std::int64_t max_seq_length = 2048;
  LoraSettings lora;
  DType compute = DType::kF32;
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kOff;
  int threads = 1;
  double learning_rate = 1e-4;
  std::int64_t warmup_steps = 0;
  LearningRateSchedule schedule = LearningRateSchedule::kCosine;
  double weight_decay = 0.0;
  double max_grad_norm = 1.0;  // 0: no clipping
  DistrustSettings distrust;
  std::uint64_t seed = 0;
  RowOrder order = RowOrder::kShuffled;
  std::int64_t steps_per_report = 10;
  std::int64_t steps_per_eval = 200;  // 0: only at the end
  std::int64_t eval_batches = 0;      // 0: all of the validation rows
  std::int64_t save_every = 100;      // 0: only at the end
  std::filesystem::path adapter_path;
  std::optional<std::filesystem::path> resume_adapter_file;
};

// Throws Error(kUsage) naming the flag, the value and the allowed range: batch size, rank, steps,
// rates, alpha.
void validate(const TrainingSettings& settings, const ModelConfig& model);

// The worker reads its settings from a file: exact round trip.
Json to_json(const TrainingSettings& settings);
TrainingSettings training_settings_from_json(const Json& document, const std::string& source);

}  // namespace loadline
