// The flags of `loadline train`, as they were typed, and the settings that they make.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "cli/flags.h"
#include "commands/train_choice.h"
#include "training/settings.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {

struct TrainOptions {
  WorkloadOptions workload;
  GivenFlags given;
  std::optional<std::string> profile;  // its name
  bool conservative = false;
  bool verify = false;
  std::optional<std::int64_t> max_steps;  // 1000
  std::optional<std::int64_t> epochs;
  double learning_rate = 1e-4;
  double lora_plus_ratio = 1;
  std::int64_t warmup_steps = 0;
  std::string schedule = "cosine";
  double weight_decay = 0;
  double max_grad_norm = 1;
  std::int64_t accumulation = 1;
  bool no_shuffle = false;
  std::optional<std::string> batching;  // shuffled
  std::int64_t steps_per_report = 10, save_every = 100, keep_checkpoints = 2;
  std::optional<std::int64_t> steps_per_eval, eval_batches;  // 200; 0
  std::optional<std::int64_t> patience;                      // none
  std::string trunk_cache = "off";
  std::optional<std::string> trunk_cache_limit;
  std::string adapter_path = "adapters", adapter_format = "peft";
  std::optional<std::string> resume_adapter;
  bool resume = false;
};

void add_train_flags(Flags flags, TrainOptions& options);

// What contradicts, or would be accepted and then ignored: throws Error(kUsage) naming the flags.
void validate(const TrainOptions& options);
// The same for flags that need rows of a kind: known once the data was read.
void validate(const TrainOptions& options, const Workload& workload);

// `chosen` is batch size, rank and layers, whoever said them.
TrainingSettings settings_of(const TrainOptions& options, const Workload& workload,
                             const Configuration& chosen);

// Says what the trunk cache needs on the disk; throws Error(kUsage) when there is no room for it.
void say_trunk_cache(const TrainOptions& options, const Workload& workload,
                     const TrainingSettings& settings, std::FILE* out);

// The updates that use each of `rows` rows `epochs` times, the last one filled up with rows of the
// next epoch; batch size and accumulation are within kMostBatch. Throws Error(kUsage) where they
// are more than a run may have.
std::int64_t updates_of_epochs(std::int64_t epochs, std::int64_t rows,
                               const TrainingSettings& settings);

}  // namespace loadline
