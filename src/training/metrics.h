// metrics.jsonl in the adapter's folder: docs/metrics.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/file.h"
#include "training/best_adapter.h"
#include "training/trainer.h"

namespace loadline {

// Names that tell the rows of one loss from those of another; empty: not told.
struct EvaluatedRows {
  std::string validation, test;
};

class Metrics {
 public:
  // Starts the file anew with `last_step` 0; else keeps its lines up to that step, so that an
  // interrupted and continued run has each line once. A torn or foreign line is left out.
  Metrics(const std::filesystem::path& folder, std::int64_t last_step, EvaluatedRows names = {});

  void add(const StepReport& report);
  // Nothing is written when nothing was to predict.
  void add(const EvaluationReport& report);
  // Whether a line that was kept has the loss of these rows after update `step`. One that names
  // other rows has none, here and below.
  [[nodiscard]] bool has(EvaluationReport::Rows rows, std::int64_t step) const {
    return evaluated_.contains({rows, step});
  }
  // Of how many updates after `step` a line that was kept has the loss of the validation rows.
  [[nodiscard]] std::int64_t evaluations_after(std::int64_t step) const;
  // Of the validation rows before the first update; none where no line that was kept or added has
  // it.
  [[nodiscard]] std::optional<double> untrained_loss() const { return untrained_loss_; }
  // The last evaluation whose adapter became the best one, by the lines that were kept.
  [[nodiscard]] const std::optional<BestLoss>& kept_best() const { return kept_best_; }

 private:
  void keep_lines_up_to(std::int64_t last_step, const std::filesystem::path& path,
                        ReplacementFile& into);
  [[nodiscard]] const std::string& name_of(EvaluationReport::Rows rows) const;

  EvaluatedRows names_;
  AppendFile file_;
  std::optional<double> untrained_loss_;
  std::optional<BestLoss> kept_best_;
  std::set<std::pair<EvaluationReport::Rows, std::int64_t>> evaluated_;
};

}  // namespace loadline
