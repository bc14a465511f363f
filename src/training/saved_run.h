// What a run keeps in its folder (run_folder.h): the adapter, the best one, and checkpoints to go
// on from.
#pragma once

#include <cstdint>
#include <filesystem>
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

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] const Checkpoints& checkpoints() const { return checkpoints_; }
  [[nodiscard]] const BestAdapter& best_adapter() const { return best_; }
  // That of the adapter, where this run has saved one or goes on from one; else 0.
  [[nodiscard]] std::int64_t step() const { return step_; }

  // Removes what an earlier run left.
  void clear();
  // Takes what an earlier run left: its checkpoint into `model`, whose step is then step(). Throws
  // as restore() does.
  Restored take_up(const ModelConfig& config, const RunIdentity& identity, LoraModel& model);
  // After take_up(): what metrics.jsonl says of the best adapter, for one without a record.
  void take_up_best(const std::optional<BestLoss>& loss);
  // For people, after take_up(): where the best adapter by other validation rows is; else empty.
  [[nodiscard]] const std::string& earlier_best() const { return earlier_best_; }
  // Writes a checkpoint, and then the adapter. Both must be finite.
  void save(LoraModel& model, const RunIdentity& identity, std::int64_t step);
  struct BestKept {
    bool is_written = false;
    std::string warning = {};  // what the disk refused, and what became of it
  };
  // Makes the adapter of `model` the best one.
  BestKept keep_best(const LoraModel& model, const BestLoss& loss);
  // Tries the record of the best adapter again where the disk refused it, which was said then.
  void record_best();

  struct Settled {
    std::filesystem::path folder;                      // of the run's files from now on
    std::optional<std::filesystem::path> earlier_run;  // of those of the run that is replaced
  };
  // At the run's end after so many updates: takes the place of the run that it replaces, if both
  // are finished. Nothing is left of a run that made none.
  Settled settle(std::int64_t updates);
  // For messages: "the adapter of step 5 is in ..."; "stopped after step 5, which is saved ...";
  // and, after "; ", the finished run that stays.
  [[nodiscard]] std::string what_is_kept() const;
  [[nodiscard]] std::string words_of_stop(std::int64_t step) const;
  [[nodiscard]] std::string what_stays() const;

 private:
  [[nodiscard]] bool is_replacing() const { return folder_ != settings_.adapter_path; }
  [[nodiscard]] Adapter adapter_of(const LoraModel& model) const;
  void replace_adapter(const Adapter& adapter) const;

  const TrainingSettings& settings_;
  const std::filesystem::path folder_;
  Checkpoints checkpoints_;
  BestAdapter best_;
  std::int64_t step_ = 0;
  std::string earlier_best_;
};

}  // namespace loadline
