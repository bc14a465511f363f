#include "workload/paths.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"

namespace loadline {
namespace {

std::optional<std::filesystem::path> known_folder(const char* variable, const char* below_home) {
  const char* value = std::getenv(variable);
  // A relative path in these variables is to be ignored, says the specification.
  if (value != nullptr && *value == '/') return std::filesystem::path(value) / "loadline";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return std::nullopt;
  return std::filesystem::path(home) / below_home / "loadline";
}

std::filesystem::path user_folder(const char* variable, const char* below_home) {
  if (const auto folder = known_folder(variable, below_home)) return *folder;
  throw environment_error("neither {} nor HOME is set: no place for loadline's files", variable);
}

constexpr const char* kProfiles = "XDG_DATA_HOME";
constexpr const char* kProfilesBelowHome = ".local/share";

}  // namespace

std::filesystem::path profile_folder() {
  return user_folder(kProfiles, kProfilesBelowHome) / "profiles";
}
std::optional<std::filesystem::path> known_profile_folder() {
  const auto folder = known_folder(kProfiles, kProfilesBelowHome);
  return folder ? std::optional(*folder / "profiles") : std::nullopt;
}
std::filesystem::path runs_folder() {
  return user_folder("XDG_STATE_HOME", ".local/state") / "runs";
}
std::filesystem::path cache_folder() { return user_folder("XDG_CACHE_HOME", ".cache"); }

bool draws(std::FILE* out) {
  const char* terminal = std::getenv("TERM");
  const std::string_view name = terminal == nullptr ? "" : terminal;
  return isatty(fileno(out)) != 0 && !name.empty() && name != "dumb";
}

std::int64_t columns_of(std::FILE* out) {
  constexpr std::int64_t kUnknown = 80, kMost = 10'000;
  const char* said = std::getenv("COLUMNS");
  const std::int64_t columns = said == nullptr ? 0 : std::strtoll(said, nullptr, 10);
  if (columns > 0 && columns < kMost) return columns;
  winsize size{};
  const bool known = ::ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kUnknown;
}

bool colour_wanted() {
  const char* value = std::getenv("NO_COLOR");
  return value == nullptr || *value == '\0';
}

}  // namespace loadline
