#include "training/readiness.h"

#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/adapter.h"
#include "training/batches.h"

namespace loadline {
namespace {

// A new run replaces the adapters of a finished one and no others.
void require_adapters_of_a_run(const TrainingSettings& settings, const Checkpoints& checkpoints) {
  if (checkpoints.holds_finished_run()) return;
  const std::filesystem::path& folder = settings.adapter_path;
  std::vector<std::filesystem::path> places{folder, folder / "mlx"};
  // A run that was killed before its first save may have left its best adapter and its metrics.
  if (!is_there(folder / "metrics.jsonl")) places.push_back(folder / "best");
  for (const std::filesystem::path& place : places) {
    if (!holds_adapter(place)) continue;
    throw usage_error(
        "--adapter-path {}: {} holds an adapter that is not of a finished run there; training "
        "would overwrite it. Choose another --adapter-path, or move the adapter away",
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

void require_run_to_resume(const TrainingSettings& settings, const Checkpoints& checkpoints) {
  const std::string folder = settings.adapter_path.string();
  if (settings.resume && !checkpoints.latest()) {
    throw usage_error("--resume: {} holds no checkpoint. Leave --resume out to start a new run",
                      folder);
  }
  if (settings.resume || settings.order == RowOrder::kWorstFirst) return;
  if (checkpoints.holds_unfinished_run()) {
    throw usage_error(
        "--adapter-path {}: holds a run that is not finished. Continue it with --resume, choose "
        "another --adapter-path, or remove the folder",
        folder);
  }
  require_adapters_of_a_run(settings, checkpoints);
}

}  // namespace loadline
