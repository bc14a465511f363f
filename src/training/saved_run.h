// What a run keeps in its adapter path: the adapter, the best one, and checkpoints to go on from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/config.h"
#include "model/lora_model.h"
#include "training/best_adapter.h"
#include "training/settings.h"
#include "training/training_state.h"

namespace loadline {

class SavedRun {
 public:
  // `validation`: as BestAdapter has it. The settings must outlive it.
  SavedRun(const TrainingSettings& settings, const std::string& validation);

  [[nodiscard]] const Checkpoints& checkpoints() const { return checkpoints_; }
  [[nodiscard]] const BestAdapter& best_adapter() const { return best_; }
  // That of the adapter, where this run has saved one or goes on from one; else 0.
  [[nodiscard]] std::int64_t step() const { return step_; }

  // Removes what an earlier run left.
  void clear();
  // Takes what an earlier run left: its checkpoint into `model`, whose step is then step(). Throws
  // as restore() does.
  void take_up(const ModelConfig& config, const RunIdentity& identity, LoraModel& model);
  // Writes a checkpoint, and then the adapter. Both must be finite.
  void save(LoraModel& model, const RunIdentity& identity, std::int64_t step);
  void save_best(const LoraModel& model, std::int64_t step, double valid_loss);

 private:
  [[nodiscard]] Adapter adapter_of(const LoraModel& model) const;
  void replace_adapter(const Adapter& adapter) const;

  const TrainingSettings& settings_;
  Checkpoints checkpoints_;
  BestAdapter best_;
  std::int64_t step_ = 0;
};

}  // namespace loadline
