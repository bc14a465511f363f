#include "training/readiness.h"

#include <fmt/format.h>

#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/shell_quoted.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "training/batches.h"
#include "training/best_adapter.h"
#include "training/run_folder.h"
#include "training/training_state.h"

namespace loadline {
namespace {

// What a run that was killed before its first save, or has diverged, may leave. Empty: nothing, or
// nothing that is of use.
std::string words_of_best_alone(const std::filesystem::path& folder) {
  const std::filesystem::path best = folder / "best";
  const std::optional<BestLoss> loss = recorded_best(folder);
  if (!loss || !helps(*loss) || !holds_adapter(best)) return "";
  return fmt::format(
      "{} holds the best adapter, {}, of a run without a checkpoint. Start a new run from it with "
      "--resume-adapter-file {} and another --adapter-path",
      best.string(), words_of(*loss), shell_quoted(best.string()));
}

// A new run replaces the adapters of a finished one, and a best one that does not help; no others.
void require_adapters_of_a_run(const TrainingSettings& settings,
                               const std::filesystem::path& folder) {
  if (Checkpoints(folder).holds_finished_run()) return;
  const auto require_none_in = [&](const std::filesystem::path& place) {
    if (!holds_adapter(place)) return;
    throw usage_error(
        "--adapter-path {}: {} holds an adapter that is not of a finished run there; training "
        "would overwrite it. Choose another --adapter-path, or move the adapter away",
        settings.adapter_path.string(), place.string());
  };
  require_none_in(folder);
  require_none_in(folder / "mlx");
  if (const std::string best = words_of_best_alone(folder); !best.empty()) {
    throw usage_error("--adapter-path {}: {}, or remove the folder {}",
                      settings.adapter_path.string(), best, (folder / "best").string());
  }
  if (const auto best = recorded_best(folder); best && !helps(*best)) return;
  require_none_in(folder / "best");
}

// One that was to replace the finished run and was killed, or has diverged, before its first save:
// nobody knows which of the two is meant.
void require_no_begun_run(const std::filesystem::path& adapter_path) {
  const std::filesystem::path folder = replacing_folder(adapter_path);
  if (!is_there(folder / kCommandFile) && !is_there(folder / "metrics.jsonl")) return;
  std::string best = words_of_best_alone(folder);
  if (best.empty() && holds_adapter(folder / "best") && !recorded_best(folder)) {
    best = (folder / "best").string() +
           " holds an adapter of it whose loss is not known: move it away, and type its command "
           "again, without --resume, to begin it anew";
  }
  throw usage_error(
      "--resume: {} is what is left of a run that ended before its first checkpoint, so that it "
      "cannot be continued. {}. To continue the finished run in {} instead, remove the folder {}",
      folder.string(),
      best.empty() ? "To begin it anew, type its command again, without --resume" : best,
      adapter_path.string(), folder.string());
}

// Neither in the folder itself nor where a run lives that is to replace a finished one.
void require_no_unfinished_run(const TrainingSettings& settings) {
  const std::filesystem::path& folder = settings.adapter_path;
  for (const std::filesystem::path& place : {replacing_folder(folder), folder}) {
    if (!Checkpoints(place).holds_unfinished_run()) continue;
    throw usage_error(
        "--adapter-path {}: holds a run that is not finished. Continue it with --resume, choose "
        "another --adapter-path, or remove the folder {}",
        folder.string(), place.string());
  }
}

}  // namespace

void require_positions(const ModelConfig& model, const StepShape& shape) {
  if (model.max_positions > 0 && shape.longest_row > model.max_positions) {
    throw usage_error(
        "--max-seq-length: the longest row has {} tokens, but the model has {} positions. Give "
        "--max-seq-length {}",
        shape.longest_row, model.max_positions, model.max_positions);
  }
}

void require_targets(const PackedRows& rows, const std::filesystem::path& path,
                     std::int64_t max_seq_length) {
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    if (targets_of(rows.row(i), max_seq_length) > 0) return;
  }
  throw bad_input(
      "{}: no row has a token to predict within {} tokens. Raise --max-seq-length, or leave "
      "--mask-prompt out",
      path.string(), max_seq_length);
}

void require_vocabulary(const PackedRows& rows, const std::filesystem::path& path,
                        const ModelConfig& model) {
  if (rows.largest_id() < model.vocab_size) return;
  throw bad_input(
      "{}: has token id {}, but the model has {} tokens. Were the rows tokenized for another "
      "model?",
      path.string(), rows.largest_id(), model.vocab_size);
}

void require_no_model_folder(const std::filesystem::path& folder, std::string_view flag) {
  if (!is_there(folder / "config.json")) return;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool is_adapters = name == kPeftTensors || name == kMlxTensors;
    if (is_adapters || !(name.ends_with(".safetensors") || name.ends_with(".index.json"))) continue;
    throw usage_error(
        "{} {}: is a model's folder, with config.json and {}. Choose another one for the adapter",
        flag, folder.string(), name);
  }
}

void require_run_to_resume(const TrainingSettings& settings) {
  const std::filesystem::path folder = run_folder(settings);
  if (settings.resume && !Checkpoints(folder).latest()) {
    const std::string best = words_of_best_alone(folder);
    throw usage_error("--resume: {} holds no checkpoint{}", folder.string(),
                      best.empty() ? ". Leave --resume out to start a new run" : "; " + best);
  }
  if (settings.resume && folder == settings.adapter_path) require_no_begun_run(folder);
  if (settings.resume || settings.is_trial()) return;
  require_no_unfinished_run(settings);
  require_adapters_of_a_run(settings, settings.adapter_path);
  if (folder != settings.adapter_path) require_adapters_of_a_run(settings, folder);
}

}  // namespace loadline
