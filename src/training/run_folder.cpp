#include "training/run_folder.h"

#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "training/best_adapter.h"
#include "training/tensorboard.h"
#include "training/training_state.h"
#include "training/trunk_cache.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// In replacing_folder() once nothing of the old run is left that the new one has not a file for:
// what is missing then was moved, and is not to be removed.
constexpr const char* kMark = ".settling";

// The adapters that the new run does not replace by its own.
void remove_other_adapters(const fs::path& adapter_path, const fs::path& from) {
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  for (const fs::path& file : {fs::path(kPeftTensors), fs::path(kMlxTensors),
                               fs::path("mlx") / kAdapterConfig, fs::path("mlx") / kMlxTensors}) {
    if (!is_there(from / file)) fs::remove(adapter_path / file, ignored);
  }
  if (!is_there(from / "mlx")) fs::remove(adapter_path / "mlx", ignored);  // unless not empty
}

void remove_old_run(const fs::path& adapter_path, const fs::path& from) {
  Checkpoints(adapter_path).clear();
  BestAdapter(adapter_path, "").clear();
  remove_event_files(adapter_path);
  remove_other_adapters(adapter_path, from);
}

void move_file(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (!error) return;
  throw environment_error("{}: cannot be renamed to {}: {}", from.string(), to.string(),
                          error.message());
}

// File by file, as folders of the same names may hold what is not a run's.
void move_tree(const fs::path& from, const fs::path& to) {
  make_folder(to);
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(from, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(*it);
  }
  if (error) throw environment_error("{}: cannot be read: {}", from.string(), error.message());
  for (const fs::directory_entry& entry : entries) {
    const fs::path name = entry.path().filename();
    if (name == kMark) continue;
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      move_tree(entry.path(), to / name);
      fs::remove(entry.path(), error);
    } else {
      move_file(entry.path(), to / name);
    }
  }
}

}  // namespace

fs::path replacing_folder(const fs::path& adapter_path) { return adapter_path / "unfinished"; }

fs::path run_folder(const TrainingSettings& settings) {
  const fs::path& place = settings.adapter_path;
  if (settings.is_trial()) return place;
  fs::path replacing = replacing_folder(place);
  if (Checkpoints(replacing).latest()) return replacing;
  return !settings.resume && Checkpoints(place).holds_finished_run() ? replacing : place;
}

void settle_finished_run(const fs::path& adapter_path) {
  const fs::path from = replacing_folder(adapter_path);
  const bool begun = is_there(from / kMark);
  if (!begun && !Checkpoints(from).holds_finished_run()) return;
  if (!begun) {
    remove_old_run(adapter_path, from);
    replace_file(from / kMark, "");
  }
  move_tree(from, adapter_path);
  std::error_code ignored;  // An empty folder harms nothing.
  fs::remove(from / kMark, ignored);
  fs::remove(from, ignored);
}

void remove_replacing_run(const fs::path& adapter_path) {
  const fs::path folder = replacing_folder(adapter_path);
  if (!is_there(folder) || Checkpoints(folder).latest()) return;
  BestAdapter(folder, "").clear();
  remove_event_files(folder);
  std::error_code ignored;  // What cannot be removed is overwritten, or fails there.
  fs::remove(folder / "metrics.jsonl", ignored);
  fs::remove(folder / kCommandFile, ignored);
  fs::remove(TrunkCache::path_in(folder), ignored);
  fs::remove(folder / "checkpoints", ignored);  // unless there is more in it
  fs::remove(folder, ignored);
}

}  // namespace loadline
