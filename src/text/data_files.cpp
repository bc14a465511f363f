#include "text/data_files.h"

#include <system_error>

#include "base/error.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

DataFiles resolve_data(const fs::path& path) {
  if (!is_there(path)) throw bad_input("{}: there is no such file or folder", path.string());
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return {.train = path, .valid = {}, .test = {}};
  DataFiles files{.train = path / "train.jsonl", .valid = {}, .test = {}};
  if (!is_there(files.train)) {
    throw bad_input(
        "{}: there is no train.jsonl in this folder. Name the file itself, or call it so",
        path.string());
  }
  if (is_there(path / "valid.jsonl")) files.valid = path / "valid.jsonl";
  if (is_there(path / "test.jsonl")) files.test = path / "test.jsonl";
  return files;
}

}  // namespace loadline
