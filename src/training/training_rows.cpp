#include "training/training_rows.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/hash.h"
#include "training/readiness.h"
#include "training/trainer.h"

namespace loadline {
namespace {

// The rows of `path` that have a target.
PackedRows open_rows(const std::filesystem::path& path, const TrainingSettings& settings) {
  PackedRows rows = PackedRows(path).within(settings.max_seq_length);
  require_targets(rows, path, settings.max_seq_length);
  return rows;
}

std::optional<PackedRows> open_rows(const std::optional<std::filesystem::path>& path,
                                    const TrainingSettings& settings) {
  if (!path) return std::nullopt;
  return open_rows(*path, settings);
}

std::string in_short(const std::string& of) {
  return of.empty() ? "" : sha256_hex(of).substr(0, 16);
}

}  // namespace

TrainingRows::TrainingRows(const TrainingSettings& settings)
    : settings_(settings),
      train_(open_rows(settings.train_rows, settings)),
      valid_(open_rows(settings.valid_rows, settings)),
      test_(open_rows(settings.test_rows, settings)) {}

StepShape TrainingRows::shape_for(const ModelConfig& model) const {
  require_vocabulary(train_, settings_.train_rows, model);
  if (valid_) require_vocabulary(*valid_, *settings_.valid_rows, model);
  if (test_) require_vocabulary(*test_, *settings_.test_rows, model);
  const StepShape shape = step_shape(settings_, train_, valid(), test());
  require_positions(model, shape);
  return shape;
}

std::string TrainingRows::mean_over(const std::optional<PackedRows>& rows,
                                    std::int64_t batches) const {
  if (!rows) return "";
  return fmt::format("{} {} {}", rows->fingerprint(), batches, settings_.max_seq_length);
}

std::string TrainingRows::validation() const { return mean_over(valid_, settings_.eval_batches); }

// All test rows are evaluated.
EvaluatedRows TrainingRows::names() const {
  return {.validation = in_short(validation()), .test = in_short(mean_over(test_, 0))};
}

}  // namespace loadline
