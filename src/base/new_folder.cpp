#include "base/new_folder.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

void require_free(const fs::path& place) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(place, error))) return;
  if (fs::is_directory(fs::symlink_status(place, error)) && fs::is_empty(place, error) && !error) {
    return;
  }
  throw usage_error("{}: is there already and is not an empty folder. Choose another place",
                    place.string());
}

}  // namespace

NewFolder::NewFolder(fs::path place) : place_(fs::absolute(place).lexically_normal()) {
  if (!place_.has_filename()) place_ = place_.parent_path();
  require_free(place_);
  make_folder(place_.parent_path());
  std::string name = place_.string() + ".XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw environment_error("{}: cannot be made: {}", place_.string(), system_reason());
  }
  temporary_ = name;
  ::chmod(name.c_str(), 0755);
}

NewFolder::~NewFolder() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void NewFolder::commit() {
  std::error_code error;
  fs::rename(temporary_, place_, error);  // over an empty folder too
  if (error) throw environment_error("{}: cannot be made: {}", place_.string(), error.message());
  temporary_.clear();
}

}  // namespace loadline
