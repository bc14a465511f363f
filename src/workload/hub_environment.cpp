#include "workload/hub_environment.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
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
  const std::string named = first_of({"HF_TOKEN_PATH"});
  const fs::path file = named.empty() ? hub_home() / "token" : expanded(named);
  std::error_code error;
  const bool exists = fs::exists(file, error);
  if (error) throw bad_input("{}: cannot be looked at: {}", file.string(), error.message());
  return exists ? checked_token(read_file(file, 64_KiB), file.string()) : "";
}

std::chrono::seconds read_timeout() {
  const std::string text = first_of({"HF_HUB_DOWNLOAD_TIMEOUT"});
  if (text.empty()) return std::chrono::seconds(10);
  return parse_duration(text, "HF_HUB_DOWNLOAD_TIMEOUT");
}

}  // namespace

HubEnvironment read_hub_environment() {
  HubEnvironment hub;
  const std::string cache = first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  hub.cache = fs::absolute(cache.empty() ? hub_home() / "hub" : expanded(cache));
  hub.offline =
      is_true(first_of({"HF_HUB_OFFLINE"})) || is_true(first_of({"TRANSFORMERS_OFFLINE"}));
  const std::string endpoint = first_of({"HF_ENDPOINT"});
  if (!endpoint.empty()) hub.endpoint = endpoint;
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  hub.token = read_token();
  hub.timeout = read_timeout();
  hub.ca_file = first_of({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"});
  return hub;
}

}  // namespace loadline
