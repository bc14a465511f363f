#include "commands/hub_environment.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// The first that is set and not empty; else "".
std::string first_of(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

bool is_true(std::string value) {
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

fs::path home() {
  const std::string home = first_of({"HOME"});
  if (home.empty()) {
    throw environment_error("neither HF_HUB_CACHE nor HOME is set: no place for the Hub's files");
  }
  return home;
}

fs::path expanded(const std::string& path) {
  return path == "~" || path.starts_with("~/")
             ? home() / path.substr(std::min<std::size_t>(2, path.size()))
             : fs::path(path);
}

fs::path hub_home() {
  const std::string named = first_of({"HF_HOME"});
  if (!named.empty()) return expanded(named);
  const std::string caches = first_of({"XDG_CACHE_HOME"});
  return (caches.empty() ? home() / ".cache" : expanded(caches)) / "huggingface";
}

}  // namespace

HubEnvironment read_hub_environment() {
  HubEnvironment hub;
  const std::string cache = first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  hub.cache = fs::absolute(cache.empty() ? hub_home() / "hub" : expanded(cache));
  hub.offline =
      is_true(first_of({"HF_HUB_OFFLINE"})) || is_true(first_of({"TRANSFORMERS_OFFLINE"}));
  return hub;
}

}  // namespace loadline
