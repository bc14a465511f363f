#include "hub/url.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

namespace loadline {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

Url parsed(const std::string& text) {
  Url url(curl_url());
  // Zero bytes would end the text for libcurl alone.
  const bool whole = text.find('\0') == std::string::npos;
  if (!whole || !url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return nullptr;
  }
  return url;
}

std::string part(const Url& url, CURLUPart which, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url.get(), which, &text, flags) != CURLUE_OK) return "";
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool is_web(const std::string& scheme) { return scheme == "http" || scheme == "https"; }

}  // namespace

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::optional<std::string> origin_of(const std::string& url) {
  const Url whole = parsed(url);
  if (!whole) return std::nullopt;
  const std::string scheme = part(whole, CURLUPART_SCHEME, 0);
  std::string host = part(whole, CURLUPART_HOST, 0);
  for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (!is_web(scheme) || host.empty()) return std::nullopt;
  return fmt::format("{}://{}:{}", scheme, host, part(whole, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

std::optional<std::string> redirect_target(const std::string& base, const std::string& location) {
  const Url url = parsed(base);
  if (!url || location.empty() || location.find('\0') != std::string::npos) return std::nullopt;
  const std::string from = part(url, CURLUPART_SCHEME, 0);
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const std::string to = part(url, CURLUPART_SCHEME, 0);
  if (!is_web(to) || (from == "https" && to != "https")) return std::nullopt;
  return part(url, CURLUPART_URL, 0);
}

}  // namespace loadline
