#include "text/data_files.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr const char* kEndings[] = {".jsonl", ".jsonl.gz", ".jsonl.zst"};

// train.jsonl or train.jsonl.gz or train.jsonl.zst.
std::optional<fs::path> find_split(const fs::path& folder, const std::string& name) {
  std::optional<fs::path> found;
  for (const char* ending : kEndings) {
    const fs::path file = folder / (name + ending);
    if (!is_there(file)) continue;
    if (found) {
      throw bad_input("{} and {} are both there: which one is meant? Move one of them away",
                      found->string(), file.string());
    }
    found = file;
  }
  return found;
}

bool is_train_split(const fs::path& file) {
  const std::string name = file.filename().string();
  return std::any_of(std::begin(kEndings), std::end(kEndings), [&](const char* ending) {
    return name == std::string("train").append(ending);
  });
}

}  // namespace

DataFiles resolve_data(const fs::path& path) {
  if (!is_there(path)) throw bad_input("{}: there is no such file or folder", path.string());
  std::error_code ignored;
  DataFiles files;
  if (!fs::is_directory(path, ignored)) {
    files.train = path;
    if (!is_train_split(path)) return files;
  } else if (const auto train = find_split(path, "train")) {
    files.train = *train;
  } else {
    throw bad_input(
        "{}: there is no train.jsonl (nor train.jsonl.gz, train.jsonl.zst) in this folder. Name "
        "the "
        "file itself, or call it so",
        path.string());
  }
  files.valid = find_split(files.train.parent_path(), "valid");
  files.test = find_split(files.train.parent_path(), "test");
  return files;
}

}  // namespace loadline
