// The flags that find, plan and train share, as they were typed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "cli/flags.h"

namespace loadline {

struct WorkloadOptions {
  std::string model;
  std::string data;
  std::optional<std::string> valid_data;
  bool demo = false;
  std::optional<std::string> target_modules;  // attention
  std::optional<double> lora_alpha;           // 2 x rank
  double lora_dropout = 0;
  bool rslora = false;
  std::optional<std::string> max_seq_length;  // 2048, or what the model has; find takes a list
  bool compares = false;  // find: several sequences, and checkpointing on against off
  std::string quantize = "none";
  std::string compute_dtype = "auto";
  std::string grad_checkpoint = "auto";
  bool mask_prompt = false;
  bool skip_bad_rows = false;
  std::optional<std::string> template_date;  // today
  bool with_test = false;  // `loadline data` looks at test.jsonl too, `train --test` reads it
  std::optional<std::string> test_data;  // its rows, where they lie elsewhere
  std::optional<std::string> distrust;
  std::optional<double> distrust_alpha;   // 2.7
  std::optional<double> distrust_lambda;  // 1
  std::uint64_t seed = 0;
  std::optional<std::string> memory_limit;
  double margin = 0.15;
  bool generated_weights = false;  // random ones of the model's shapes
  bool json = false;

  [[nodiscard]] std::optional<Bytes> limit() const;
  // Those of --max-seq-length, rising; empty where it was not given.
  [[nodiscard]] std::vector<std::int64_t> sequences() const;
};

void add_model_flags(Flags flags, WorkloadOptions& options);
void add_demo_flag(Flags flags, WorkloadOptions& options, const std::string& help);
void add_data_flags(Flags flags, WorkloadOptions& options);
void add_lora_flags(Flags flags, WorkloadOptions& options);
void add_distrust_flags(Flags flags, WorkloadOptions& options);
void add_memory_flags(Flags flags, WorkloadOptions& options);

// Those of the flags that were given for which `train` makes the same run, beside those that a
// profile's values stand for (Profile, report/profile.h), as words of its command line.
std::vector<std::string> words_for_train(const WorkloadOptions& options);

// Headings of --help.
inline constexpr const char* kModelAndData = "Model and data";
inline constexpr const char* kLora = "LoRA";
inline constexpr const char* kMemoryAndSpeed = "Memory and speed";
inline constexpr const char* kDistrust = "Distrust loss (docs/distrust.md)";

// Ranges and words; throws Error(kUsage) naming the flag, the value and what is allowed.
void validate(const WorkloadOptions& options);

// "2026-11-28". Throws Error(kUsage) naming `flag`.
std::chrono::year_month_day parse_date(const std::string& text, const std::string& flag);

// Throws Error(kUsage) naming all of model and data that is missing.
void require_model_and_data(const WorkloadOptions& options);

// "90s", "30m" or "30min", "2h", "1h30m", "45" (seconds). Throws Error(kUsage) naming `flag`.
std::chrono::seconds parse_duration(const std::string& text, const std::string& flag);

// "8,16,32" as rising positive numbers without repeats; where `all` is given, the words all and -1
// stand for it. Throws Error(kUsage) naming `flag`.
std::vector<std::int64_t> parse_numbers(const std::string& text, const std::string& flag,
                                        std::optional<std::int64_t> all = std::nullopt);

}  // namespace loadline
