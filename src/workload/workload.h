// A model and its data, resolved once: what find, plan and train start from.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "checkpoint/config.h"
#include "hub/cache.h"
#include "machine/facts.h"
#include "model/memory_plan.h"
#include "report/profile.h"
#include "search/search.h"
#include "text/packed.h"
#include "training/settings.h"
#include "workload/options.h"

namespace loadline {

// The rows of one split, tokenized into a packed file in the cache.
struct PackedSplit {
  std::filesystem::path source;
  std::filesystem::path packed;  // in the cache
  PackReport report;             // of `rows`
  PackedRows rows;  // those with a token to predict within the longest --max-seq-length
};

struct Workload {
  std::filesystem::path model_folder;
  std::optional<HubModel> hub_model;  // whose snapshot that is, as it was asked for
  bool is_demo = false;               // the embedded model
  ModelConfig model;
  std::optional<PackedSplit> train, valid;
  std::optional<PackedSplit> test;  // where the options ask for it; training does not see it
  TrainingSettings base;            // all that does not depend on batch size, rank and layers
  bool checkpointing_auto = true;
  std::optional<double> lora_alpha;
  bool rslora = false;
  std::vector<std::string> train_flags;  // words_for_train()
  std::optional<std::string>
      template_date;          // that of the rows, where the chat template asks for it
  std::string distrust_note;  // for people: for how many rows the distrust term is off; or empty

  // The settings of one configuration; rank 0 and the like are refused by validate().
  [[nodiscard]] TrainingSettings with(std::int64_t batch_size, std::int64_t rank,
                                      std::int64_t layers) const;
  // The same, as configured() has it.
  [[nodiscard]] TrainingSettings with(const Configuration& configuration) const;
  // What a step of it needs: from the data where there is some, else batch_size rows of
  // max_seq_length.
  [[nodiscard]] StepShape shape_of(const TrainingSettings& settings) const;
  [[nodiscard]] MemoryPlan plan(const TrainingSettings& settings) const;
  // The model as --model takes it on any machine: of the Hub by its name; else its folder.
  [[nodiscard]] std::string model_text() const;
  // What its runs' folders are called: the model's name, or demo, as a plain_name().
  [[nodiscard]] std::string run_name() const;
  [[nodiscard]] Json model_document() const;  // for run.json and result.json
  [[nodiscard]] Json data_document() const;
  // What was proven with `settings` was proven for this.
  [[nodiscard]] ProfileKey profile_key(const MachineFacts& machine,
                                       const TrainingSettings& settings) const;
  // Stands for the weights in a key where they were generated from config.json alone.
  [[nodiscard]] std::string shape_fingerprint() const;
};

// `base` with the configuration's values; a sequence or checkpointing that is not compared stays.
TrainingSettings configured(TrainingSettings base, const Configuration& configuration);

// Resolves the model, packs the data (found in the cache when it was packed before) and fills the
// settings. Words about what is going on go to `out`. Throws Error with the way out for all that is
// wrong with either. ModelParts::kText is enough for what never reads a weight.
Workload prepare_workload(const WorkloadOptions& options, const MachineFacts& machine,
                          std::FILE* out, ModelParts parts = ModelParts::kAll);

// The folder of --model, or of --demo. Throws Error(kUsage) where neither was given, or both.
std::filesystem::path model_folder_of(const WorkloadOptions& options, ModelParts parts);

// --compute-dtype's word.
DType resolve_compute(const std::string& word);

// auto: off where the plan fits the budget with its margin, else on.
void choose_checkpointing(const Workload& workload, TrainingSettings& settings, Bytes budget,
                          double margin);

}  // namespace loadline
