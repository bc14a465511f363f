#include "workload/paths.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"

namespace loadline {
namespace {

struct Place {
  const char* variable;
  const char* below_home;  // where that is not set
  const char* of;          // what lies there
};
constexpr Place kCaches{"XDG_CACHE_HOME", ".cache", "caches"};
constexpr Place kRuns{"XDG_STATE_HOME", ".local/state", "runs"};
constexpr Place kProfiles{"XDG_DATA_HOME", ".local/share", "profiles"};

std::optional<std::filesystem::path> known_folder(const Place& place) {
  const char* value = std::getenv(place.variable);
  // A relative path in these variables is to be ignored, says the specification.
  if (value != nullptr && *value == '/') return std::filesystem::path(value) / "loadline";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return std::nullopt;
  return std::filesystem::path(home) / place.below_home / "loadline";
}

// A command may need more than one: all that are missing are named at once.
std::filesystem::path user_folder(const Place& wanted) {
  if (const auto folder = known_folder(wanted)) return *folder;
  std::string missing;
  for (const Place& place : {kCaches, kRuns, kProfiles}) {
    if (known_folder(place)) continue;
    missing += fmt::format("{}{} ({})", missing.empty() ? "" : ", ", place.variable, place.of);
  }
  throw environment_error(
      "neither {} nor HOME is set: no place for loadline's {}. Set HOME, or with absolute paths "
      "what is missing in its place: {}",
      wanted.variable, wanted.of, missing);
}

}  // namespace

std::filesystem::path profile_folder() { return user_folder(kProfiles) / "profiles"; }
std::optional<std::filesystem::path> known_profile_folder() {
  const auto folder = known_folder(kProfiles);
  return folder ? std::optional(*folder / "profiles") : std::nullopt;
}
std::filesystem::path runs_folder() { return user_folder(kRuns) / "runs"; }
std::filesystem::path cache_folder() { return user_folder(kCaches); }

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
