#include "workload/hub_environment.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "workload/options.h"

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

fs::path expanded(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const std::string home = first_of({"HOME"});
  if (home.empty()) {
    throw environment_error("{}: HOME is not set. Set it, or give the folder in full", path);
  }
  return fs::path(home) / path.substr(std::min<std::size_t>(2, path.size()));
}

// Nothing where no variable says where it is: in a container HOME may not be set.
std::optional<fs::path> hub_home() {
  const std::string named = first_of({"HF_HOME"});
  if (!named.empty()) return expanded(named);
  const std::string caches = first_of({"XDG_CACHE_HOME"});
  if (!caches.empty()) return expanded(caches) / "huggingface";
  const std::string home = first_of({"HOME"});
  if (home.empty()) return std::nullopt;
  return fs::path(home) / ".cache" / "huggingface";
}

fs::path hub_cache() {
  const std::string named = first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  if (!named.empty()) return expanded(named);
  const std::optional<fs::path> home = hub_home();
  if (home) return *home / "hub";
  throw environment_error(
      "none of HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME and HOME is set: no place for the Hub's "
      "files. Let HF_HUB_CACHE name a folder");
}

std::optional<fs::path> token_file() {
  const std::string named = first_of({"HF_TOKEN_PATH"});
  if (!named.empty()) return expanded(named);
  const std::optional<fs::path> home = hub_home();
  return home ? std::optional(*home / "token") : std::nullopt;
}

// It stands in a header, where a line's end would begin another.
std::string checked_token(std::string token, const std::string& source) {
  token.erase(0, token.find_first_not_of(" \t\r\n"));
  token.erase(token.find_last_not_of(" \t\r\n") + 1);
  for (const char c : token) {
    if (c > 0x20 && c < 0x7f) continue;
    throw usage_error("{}: holds no token: there is a blank or a control character in it", source);
  }
  return token;
}

std::string read_token() {
  const std::string given = first_of({"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"});
  if (!given.empty()) return checked_token(given, "HF_TOKEN");
  if (is_true(first_of({"HF_HUB_DISABLE_IMPLICIT_TOKEN"}))) return "";
  const std::optional<fs::path> file = token_file();
  if (!file || !is_there(*file)) return "";
  return checked_token(read_file(*file, 64_KiB), file->string());
}

std::chrono::seconds read_timeout() {
  const std::string text = first_of({"HF_HUB_DOWNLOAD_TIMEOUT"});
  if (text.empty()) return HubAccess{}.timeout;
  constexpr double kMost = 1e9;
  double seconds = 0;
  const char* const text_end = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), text_end, seconds);
  if (error == std::errc{} && end == text_end && seconds > 0 && seconds < kMost) {
    return std::chrono::seconds(std::llround(std::ceil(seconds)));
  }
  return parse_duration(text, "HF_HUB_DOWNLOAD_TIMEOUT");
}

}  // namespace

HubEnvironment read_hub_environment() {
  return {.cache = fs::absolute(hub_cache()),
          .offline =
              is_true(first_of({"HF_HUB_OFFLINE"})) || is_true(first_of({"TRANSFORMERS_OFFLINE"}))};
}

HubAccess read_hub_access() {
  HubAccess hub;
  const std::string endpoint = first_of({"HF_ENDPOINT"});
  if (!endpoint.empty()) hub.endpoint = endpoint;
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  hub.token = read_token();
  hub.timeout = read_timeout();
  hub.ca_file = first_of({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"});
  return hub;
}

}  // namespace loadline
