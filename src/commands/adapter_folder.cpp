#include "commands/adapter_folder.h"

#include <optional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file_lock.h"
#include "checkpoint/weights.h"
#include "training/readiness.h"
#include "training/run_folder.h"
#include "training/training_state.h"

namespace loadline {
namespace {

constexpr const char* kLockFile = ".train.lock";  // stays: it says nothing while nobody holds it

FileDescriptor lock_folder(const std::filesystem::path& folder) {
  std::optional<FileDescriptor> lock = lock_file(folder / kLockFile);
  if (lock) return std::move(*lock);
  throw environment_error(
      "{}: another training is writing there. Wait for it, end it, or give another --adapter-path",
      folder.string());
}

}  // namespace

void require_folder_of_its_own(const std::filesystem::path& folder,
                               const std::vector<std::filesystem::path>& data) {
  require_no_model_folder(folder);
  if (is_there(folder / "run.json") && is_there(folder / "journal.jsonl")) {
    throw usage_error(
        "--adapter-path {}: is the folder of a search (`loadline find`), with run.json and "
        "journal.jsonl. Choose another one for the adapter",
        folder.string());
  }
  for (const std::filesystem::path& file : data) {
    std::error_code ignored;  // of a folder that is not there yet
    if (!std::filesystem::equivalent(folder, file.parent_path(), ignored)) continue;
    throw usage_error(
        "--adapter-path {}: is the folder of the data, with {}. Choose another one for the adapter",
        folder.string(), file.filename().string());
  }
}

FileDescriptor hold_adapter_folder(const TrainingSettings& settings, const PackedRows& train,
                                   const std::vector<std::string>& changed) {
  require_writable_folder(settings.adapter_path);
  FileDescriptor lock = lock_folder(settings.adapter_path);
  settle_finished_run(settings.adapter_path);
  require_run_to_resume(settings);
  if (settings.resume) {
    require_same_run(
        *Checkpoints(run_folder(settings)).latest(), settings,
        {.model = WeightFiles(settings.model).fingerprint(), .data = train.fingerprint()}, changed);
  }
  return lock;
}

void require_resumable(const TrainingSettings& place) {
  FileDescriptor lock;  // a folder without one was only mistyped, or is no run's
  if (is_there(place.adapter_path / kLockFile)) lock = lock_folder(place.adapter_path);
  settle_finished_run(place.adapter_path);
  require_run_to_resume(place);
}

}  // namespace loadline
