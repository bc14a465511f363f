#include "workload/cache.h"

#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "report/print.h"
#include "workload/paths.h"

namespace loadline {

std::filesystem::path writable_cache(const std::string& name) {
  static std::optional<TemporaryFolder> instead;
  if (!instead) {
    const std::filesystem::path folder = cache_folder() / name;
    try {
      require_writable_folder(folder);
      return folder;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kEnvironment) throw;
      instead.emplace();
      tell(stderr,
           "{}\nWhat would be kept there lies in {} for this time; XDG_CACHE_HOME names a place "
           "for the cache\n",
           error.what(), instead->path().string());
    }
  }
  std::filesystem::path folder = instead->path() / name;
  make_folder(folder);
  return folder;
}

}  // namespace loadline
