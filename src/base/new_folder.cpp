#include "base/new_folder.h"

#include <sys/stat.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file_lock.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kSuffix = ".XXXXXX";
constexpr const char* kMark = ".loadline-partial";  // in the folder until it is whole

// Whether the folder at `path` was being filled for `place` by a process that no longer lives.
bool is_orphan(const fs::path& path, const fs::path& place) {
  const std::string name = path.filename().string();
  const std::string beginning = place.filename().string() + '.';
  if (!name.starts_with(beginning) || name.size() + 1 != beginning.size() + kSuffix.size()) {
    return false;
  }
  try {
    return is_there(path / kMark) && lock_file(path / kMark).has_value();
  } catch (const Error&) {  // another user's
    return false;
  }
}

void remove_orphans(const fs::path& place) {
  std::error_code ignored;  // A folder too many harms nothing.
  std::vector<fs::path> orphans;
  for (fs::directory_iterator it(place.parent_path(), ignored), end; it != end;
       it.increment(ignored)) {
    if (it->is_directory(ignored) && is_orphan(it->path(), place)) orphans.push_back(it->path());
  }
  for (const fs::path& orphan : orphans) fs::remove_all(orphan, ignored);
}

void require_free(const fs::path& place) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(place, error))) return;
  if (fs::is_directory(fs::symlink_status(place, error)) && fs::is_empty(place, error) && !error) {
    return;
  }
  throw usage_error("{}: is there already and is not an empty folder. Choose another place",
                    place.string());
}

// Locked before it has its name: a mark that nobody holds is an orphan's.
FileDescriptor make_mark(const fs::path& folder) {
  const fs::path unnamed = folder / "mark";
  std::optional<FileDescriptor> mark = lock_file(unnamed);
  if (!mark) throw environment_error("{}: another process holds it", folder.string());
  std::error_code error;
  fs::rename(unnamed, folder / kMark, error);
  if (error) throw environment_error("{}: cannot be made: {}", folder.string(), error.message());
  return std::move(*mark);
}

}  // namespace

NewFolder::NewFolder(fs::path place) : place_(fs::absolute(place).lexically_normal()) {
  if (!place_.has_filename()) place_ = place_.parent_path();
  require_free(place_);
  make_folder(place_.parent_path());
  remove_orphans(place_);
  std::string name = place_.string().append(kSuffix);
  if (::mkdtemp(name.data()) == nullptr) {
    throw environment_error("{}: cannot be made: {}", place_.string(), system_reason());
  }
  temporary_ = name;
  ::chmod(name.c_str(), as_umask_says(0777));
  mark_ = make_mark(temporary_);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void NewFolder::commit() {
  std::error_code error;
  sync_folder(temporary_);
  // The mark goes last: without it nobody would take what a kill leaves here for an orphan's.
  fs::rename(temporary_, place_, error);  // over an empty folder too
  if (error) throw environment_error("{}: cannot be made: {}", place_.string(), error.message());
  temporary_.clear();
  sync_folder(place_.parent_path());
  fs::remove(place_ / kMark, error);  // A file too many harms nothing.
  sync_folder(place_);
}

}  // namespace loadline
