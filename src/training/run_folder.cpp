#include "training/run_folder.h"

#include <chrono>
#include <ctime>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/earlier_name.h"
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

// In replacing_folder() once nothing of the old run is left in its place: what is missing then was
// moved.
constexpr const char* kMark = ".settling";
// The same from when the old run's files are moved: where to.
constexpr const char* kRecord = ".setting-aside";

// What a run has in its folder, as far as it is there.
std::vector<fs::path> files_of_run(const fs::path& folder) {
  std::vector<fs::path> files = Checkpoints(folder).files();
  for (const fs::path& place : {folder, folder / "best"}) {
    for (const fs::path& file :
         {fs::path(kAdapterConfig), fs::path(kPeftTensors), fs::path(kMlxTensors),
          fs::path("mlx") / kAdapterConfig, fs::path("mlx") / kMlxTensors}) {
      files.push_back(place / file);
    }
  }
  files.push_back(folder / "best" / "best.json");
  files.push_back(folder / "metrics.jsonl");
  files.push_back(folder / kCommandFile);
  std::erase_if(files, [](const fs::path& file) { return !is_there(file); });
  for (fs::path& file : event_files(folder)) files.push_back(std::move(file));
  return files;
}

std::time_t time_of_last_save(const fs::path& adapter_path) {
  std::error_code error;
  const auto written = fs::last_write_time(adapter_path / "checkpoints" / "latest", error);
  if (error) return std::time(nullptr);
  return std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::file_clock::to_sys(written)));
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
    if (name == kMark || name == kRecord) continue;
    if (entry.is_directory(error) && !entry.is_symlink(error)) {
      move_tree(entry.path(), to / name);
      fs::remove(entry.path(), error);
    } else {
      move_file(entry.path(), to / name);
    }
  }
}

// A folder for the earlier run, made inside and moved out, which fails where it could not take the
// run's files: on another file system, or in a folder that is not ours to write into.
fs::path make_earlier_folder(const fs::path& adapter_path) {
  const fs::path beside = earlier_run_folder(adapter_path);
  const fs::path inside = adapter_path / beside.filename();
  make_folder(inside);
  std::error_code error;
  fs::rename(inside, beside, error);
  return error ? inside : beside;
}

// The record comes before the first move, so that all files come into one folder, also where a kill
// came between.
void set_aside(const fs::path& adapter_path, const fs::path& record) {
  const std::vector<fs::path> files = files_of_run(adapter_path);
  if (!is_there(record)) {
    if (files.empty()) return;
    replace_file(record, make_earlier_folder(adapter_path).string());
  }
  const fs::path earlier = read_file(record, 64_KiB);
  for (const fs::path& file : files) {
    const fs::path kept = earlier / file.lexically_relative(adapter_path);
    make_folder(kept.parent_path());
    move_file(file, kept);
  }
  std::error_code ignored;  // Where there is more in one it stays.
  for (const char* folder : {"best/mlx", "best", "mlx", "checkpoints", "tensorboard"}) {
    fs::remove(adapter_path / folder, ignored);
  }
}

}  // namespace

fs::path earlier_run_folder(const fs::path& adapter_path) {
  return earlier_name(adapter_path, time_of_last_save(adapter_path));
}

fs::path replacing_folder(const fs::path& adapter_path) { return adapter_path / "unfinished"; }

fs::path run_folder(const TrainingSettings& settings) {
  const fs::path& place = settings.adapter_path;
  if (settings.is_trial()) return place;
  fs::path replacing = replacing_folder(place);
  if (Checkpoints(replacing).latest()) return replacing;
  return !settings.resume && Checkpoints(place).holds_finished_run() ? replacing : place;
}

std::optional<fs::path> settle_finished_run(const fs::path& adapter_path) {
  const fs::path from = replacing_folder(adapter_path);
  const bool begun = is_there(from / kMark);
  if (!begun && !Checkpoints(from).holds_finished_run()) return std::nullopt;
  if (!begun) {
    set_aside(adapter_path, from / kRecord);
    replace_file(from / kMark, "");
  }
  std::optional<fs::path> earlier;
  if (is_there(from / kRecord)) earlier = read_file(from / kRecord, 64_KiB);
  move_tree(from, adapter_path);
  std::error_code ignored;  // An empty folder harms nothing.
  fs::remove(from / kRecord, ignored);
  fs::remove(from / kMark, ignored);
  fs::remove(from, ignored);
  return earlier;
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
