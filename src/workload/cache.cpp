#include "workload/cache.h"

#include <chrono>
#include <cstdio>
#include <optional>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "model/prepared_weights.h"
#include "report/print.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::hours kUnusedFor{30 * 24};

}  // namespace

fs::path writable_cache(const std::string& name) {
  static std::optional<TemporaryFolder> instead;
  fs::path folder = cache_folder() / name;
  try {
    require_writable_folder(folder);
    return folder;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kEnvironment) throw;
    if (!instead) {
      instead.emplace();
      tell(stderr,
           "{}\nWhat would be kept there lies in {} for this time; XDG_CACHE_HOME names a place "
           "for the cache\n",
           error.what(), instead->path().string());
    }
  }
  folder = instead->path() / name;
  make_folder(folder);
  return folder;
}

void note_use(const fs::path& file) {
  std::error_code ignored;
  fs::last_write_time(file, fs::file_time_type::clock::now(), ignored);
}

void remove_unused(const fs::path& folder, std::string_view extension) {
  const auto oldest = fs::file_time_type::clock::now() - kUnusedFor;
  std::vector<fs::path> unused;
  std::error_code ignored;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    std::error_code unknown;
    const bool is_old = it->last_write_time(unknown) < oldest && !unknown;
    if (is_old && it->path().extension() == extension) unused.push_back(it->path());
  }
  for (const fs::path& file : unused) fs::remove(file, ignored);
}

fs::path prepared_weights_of(const WeightFiles& files, const StepShape& shape) {
  const fs::path folder = cache_folder() / "prepared";
  fs::path kept = prepared_file(folder, prepared_key(files.cache_key(), shape));
  std::error_code error;
  if (fs::exists(kept, error)) {
    note_use(kept);
  } else {
    remove_unused(folder, kept.extension().native());
  }
  return kept;
}

}  // namespace loadline
