// What people see while training, and what `train --json` says at the end.
#pragma once

#include <cstdio>

#include "base/json.h"
#include "training/trainer.h"

namespace loadline {

class TrainView final : public TrainingObserver {
 public:
  TrainView(const TrainingSettings& settings, std::FILE* out) : settings_(settings), out_(out) {}
  void loaded(const LoadReport& report) override;
  void stepped(const StepReport& report) override;
  void evaluated(const EvaluationReport& report) override;
  void saved(std::int64_t step, const std::filesystem::path& where, Bytes peak) override;

  [[nodiscard]] Json document(const TrainingEnd& end) const;

 private:
  const TrainingSettings& settings_;
  std::FILE* out_;
  // Since the last line, as mlx-lm prints it.
  double loss_sum_ = 0, seconds_ = 0;
  std::int64_t updates_ = 0, tokens_ = 0, trained_tokens_ = 0;
  StepReport last_;
  Json evaluations_ = Json::array();
};

}  // namespace loadline
