// What a run writes of each update and evaluation: metrics.jsonl and, of a training, TensorBoard's
// file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "training/metrics.h"
#include "training/tensorboard.h"
#include "training/trainer.h"

namespace loadline {

// A run does not end for want of a line in a log: the first one that a file refuses is told.
class RunLogs {
 public:
  using Warn = std::function<void(std::int64_t step, const std::string& what)>;

  // Throws as Metrics and TensorBoard do.
  RunLogs(const std::filesystem::path& folder, std::int64_t first_step, bool is_trial,
          EvaluatedRows names, Warn warn);
  [[nodiscard]] const Metrics& metrics() const { return metrics_; }
  void add(const StepReport& report);
  void add(const EvaluationReport& report);

 private:
  template <typename Report>
  void add_to_all(const Report& report);
  template <typename Log, typename Report>
  void add_to(Log& log, bool& is_told, const Report& report);

  Metrics metrics_;
  std::optional<TensorBoard> tensorboard_;
  bool metrics_refused_ = false, tensorboard_refused_ = false;
  Warn warn_;
};

}  // namespace loadline
