#include "commands/asked_run.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/config.h"
#include "commands/known_trial.h"
#include "training/trainer.h"
#include "trial/journal.h"
#include "workload/workload.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// Nothing where it is no longer there: then the answers rest on the trials alone.
template <typename Read>
auto if_there(Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// What the search last held its trials under: a continued one goes by the memory of its own day.
SearchLimits limits_of(const std::vector<JournalEntry>& entries) {
  if (entries.empty()) return {};
  const TrialSpec& last = entries.back().spec;
  return {.budget = last.budget, .margin = last.margin};
}

std::int64_t recorded(const fs::path& run_file, const char* part, const char* number) {
  const Json run = read_json(run_file);
  const Json* document = json_find(run, part);
  if (document == nullptr) throw bad_input("{}: '{}' is missing", run_file.string(), part);
  return json_int(*document, number, run_file.string());
}

// What the search says that it chose: its objective is its own.
std::optional<Configuration> chosen_in(const fs::path& folder,
                                       const std::vector<RunTrial>& trials) {
  const fs::path file = folder / "result.json";
  const Json result = read_json(file);
  if (const Json* optimal = json_find(result, "optimal"); optimal && optimal->is_object()) {
    const std::int64_t id = json_int(*optimal, "trial", file.string());
    for (const RunTrial& trial : trials) {
      if (trial.trial == id) return trial.configuration;
    }
  }
  const auto chosen =
      choose(trials, objective_from(json_string(result, "objective", file.string())));
  return chosen ? std::optional(trials[*chosen].configuration) : std::nullopt;
}

// What all trials share is not compared.
void drop_what_is_shared(std::vector<RunTrial>& trials) {
  std::set<std::int64_t> sequences;
  std::set<int> checkpointings;
  for (const RunTrial& trial : trials) {
    sequences.insert(trial.configuration.sequence);
    checkpointings.insert(trial.configuration.checkpointing);
  }
  for (RunTrial& trial : trials) {
    if (sequences.size() == 1) trial.configuration.sequence = 0;
    if (checkpointings.size() == 1) trial.configuration.checkpointing = Configuration::kNotCompared;
  }
}

}  // namespace

AskedRun::AskedRun(const fs::path& folder) {
  const std::vector<JournalEntry> entries = read_journal(folder);
  limits_ = limits_of(entries);
  for (const JournalEntry& entry : entries) {
    if (!entry.outcome) continue;
    const std::string source = fmt::format("{}, trial {}", folder.string(), entry.spec.id);
    base_ = training_settings_from_json(entry.spec.worker, source);
    const auto trial = known_trial(entry, tested_by(entry.spec), limits_);
    if (trial) trials_.push_back(*trial);
  }
  drop_what_is_shared(trials_);
  const auto chosen_by_run = if_there([&] { return chosen_in(folder, trials_); });
  if (chosen_by_run && *chosen_by_run) {
    optimal_ = **chosen_by_run;
  } else if (const auto chosen = choose(trials_, Objective::kBalanced)) {
    optimal_ = trials_[*chosen].configuration;
  } else if (!trials_.empty()) {
    optimal_ = trials_.front().configuration;
  } else {
    throw bad_input("{}: no trial of this search has ended yet", folder.string());
  }
  model_ = if_there([&] { return read_config(base_.model); });
  const fs::path run_file = folder / "run.json";
  recorded_positions_ = if_there([&] { return recorded(run_file, "model", "max_positions"); });
  recorded_rows_ = if_there([&] { return recorded(run_file, "data", "rows"); });
  train_ = if_there([&] { return PackedRows(base_.train_rows); });
  if (base_.valid_rows) valid_ = if_there([&] { return PackedRows(*base_.valid_rows); });
}

std::int64_t AskedRun::model_layers() const {
  if (model_) return model_->layers;
  std::int64_t most = 1;
  for (const RunTrial& trial : trials_) most = std::max(most, trial.configuration.lora_layers);
  return most;
}

UsefulRank AskedRun::useful_rank() const {
  return model_ ? loadline::useful_rank(*model_, base_.lora) : UsefulRank{};
}

// A run of an earlier version did not record it.
std::int64_t AskedRun::model_positions() const {
  constexpr std::int64_t kMostSequence = 1 << 24;
  if (model_) return model_->max_positions;
  return recorded_positions_.value_or(kMostSequence);
}

std::optional<std::int64_t> AskedRun::data_rows() const {
  if (recorded_rows_ || !train_) return recorded_rows_;
  return train_->size();
}

bool AskedRun::is_of_run(std::int64_t sequence) const {
  return std::any_of(trials_.begin(), trials_.end(), [&](const RunTrial& trial) {
    return trial.configuration.sequence == sequence;
  });
}

Configuration AskedRun::as_run(const Configuration& c) const {
  Configuration shared = c;
  shared.sequence = 0;
  const bool is_same =
      c.sequence == base_.max_seq_length && is_of_run(0) && tokens(shared) == tokens(c);
  return is_same ? shared : c;
}

PredictedBytes AskedRun::estimate(const Configuration& c) const {
  if (!model_ || !train_) throw bad_input("the model or the rows of the run are gone");
  const TrainingSettings settings = configured(base_, c);
  StepShape shape = step_shape(settings, *train_, valid_ ? &*valid_ : nullptr);
  if (!is_of_run(c.sequence)) {
    shape.tokens = c.batch_size * c.sequence;
    shape.rows = c.batch_size;
    shape.longest_row = c.sequence;
  }
  return plan_memory(*model_, settings.lora, shape).total();
}

double AskedRun::tokens(const Configuration& c) const {
  if (!is_of_run(c.sequence)) return static_cast<double>(c.batch_size * c.sequence);
  if (!train_) return static_cast<double>(c.batch_size);
  return static_cast<double>(worst_batch_tokens(configured(base_, c), *train_));
}

}  // namespace loadline
