#include "training/readiness.h"

#include "base/error.h"
#include "training/batches.h"

namespace loadline {

void require_positions(const ModelConfig& model, const StepShape& shape) {
  if (model.max_positions > 0 && shape.longest_row > model.max_positions) {
    throw usage_error(
        "--max-seq-length: the longest row has {} tokens, but the model has {} positions. Give "
        "--max-seq-length {}",
        shape.longest_row, model.max_positions, model.max_positions);
  }
}

void require_targets(const PackedRows& rows, const TrainingSettings& settings) {
  for (std::int64_t i = 0; i < rows.size(); ++i) {
    if (targets_of(rows.row(i), settings.max_seq_length) > 0) return;
  }
  throw bad_input(
      "{}: no row has a token to predict within {} tokens. Raise --max-seq-length, or leave "
      "--mask-prompt out",
      settings.train_rows.string(), settings.max_seq_length);
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
  if (!settings.resume && settings.order != RowOrder::kWorstFirst &&
      checkpoints.holds_unfinished_run()) {
    throw usage_error(
        "--adapter-path {}: holds a run that is not finished. Continue it with --resume, choose "
        "another --adapter-path, or remove the folder",
        folder);
  }
}

}  // namespace loadline
