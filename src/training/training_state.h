// Checkpoints: what is needed to continue a run to the last bit, with as many threads.
// docs/training-state.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "model/lora_model.h"
#include "training/settings.h"

namespace loadline {

// What the run was made from, beside its settings.
struct RunIdentity {
  std::string model;  // WeightFiles::fingerprint()
  std::string data;   // PackedRows::fingerprint() of the training rows
};

// `adapter_path`/checkpoints: a folder for each kept checkpoint, and `latest`, the name of the one
// that counts. `latest` is replaced last, so that a crash leaves the old checkpoint or the new one.
class Checkpoints {
 public:
  explicit Checkpoints(std::filesystem::path adapter_path);

  // The folder that `latest` names; nothing when there is none. Throws Error(kBadInput) when
  // `latest` is damaged.
  [[nodiscard]] std::optional<std::filesystem::path> latest() const;
  // The step of that; 0 when there is none.
  [[nodiscard]] std::int64_t latest_step() const;
  // The newest of those that are kept besides.
  [[nodiscard]] std::optional<std::filesystem::path> one_before_latest() const;
  // Whether a run with updates or an evaluation still to do is there. A checkpoint that cannot be
  // read is none.
  [[nodiscard]] bool holds_unfinished_run() const { return finished() == false; }
  [[nodiscard]] bool holds_finished_run() const { return finished() == true; }
  // `latest` and all checkpoints, as far as they are there; `latest` first.
  [[nodiscard]] std::vector<std::filesystem::path> files() const;
  // Removes what a kill left of files that were being replaced in `adapter_path`, which nobody else
  // writes into.
  void remove_unfinished_files() const;
  // Removes all checkpoints, `latest` first; what is not a checkpoint stays.
  void clear();

  // Writes adapter and state of `model` after update `step`, makes it the latest, and removes all
  // but settings.keep_checkpoints; returns its folder. Where that is refused nothing of it stays.
  std::filesystem::path save(LoraModel& model, const Adapter& adapter,
                             const TrainingSettings& settings, const RunIdentity& identity,
                             std::int64_t step);
  // The run of the latest checkpoint came to its end, its last evaluation included.
  void mark_finished() const;

 private:
  // Whether the run that is there came to its end.
  [[nodiscard]] std::optional<bool> finished() const;
  [[nodiscard]] std::vector<std::filesystem::path> all() const;
  void prune(const std::filesystem::path& current, std::int64_t kept) const;

  std::filesystem::path folder_;
};

// The updates that were done when `checkpoint`, one of its folders, was saved.
std::int64_t step_of_checkpoint(const std::filesystem::path& checkpoint);

// Throws Error(kUsage) naming the setting and both values when the run of the checkpoint was made
// with other settings, model or data, or has made more updates than max_steps. `changed` are the
// flags that say otherwise than then: those that make the setting are named too.
void require_same_run(const std::filesystem::path& checkpoint, const TrainingSettings& settings,
                      const RunIdentity& identity, const std::vector<std::string>& changed = {});

struct Restored {
  std::int64_t step = 0;  // updates done
  int threads = 0;        // of who saved it; 0: not known
};

// Takes parameters and moments from the checkpoint into `model`. Throws as require_same_run() does,
// and Error(kBadInput) when a file is damaged or adapter and state do not belong together.
Restored restore(const std::filesystem::path& checkpoint, const ModelConfig& config,
                 const TrainingSettings& settings, const RunIdentity& identity, LoraModel& model);

}  // namespace loadline
