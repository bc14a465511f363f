#include "text/lenient_json.h"

#include <charconv>
#include <cstdint>

#include "text/unicode.h"

namespace loadline {
namespace {

constexpr std::size_t kEscape = 6;  // \uXXXX

// The number of the escape at `at`, or -1 where none is.
std::int32_t escape_at(std::string_view json, std::size_t at) {
  const std::string_view text = json.substr(at, kEscape);
  if (text.size() < kEscape || !text.starts_with("\\u")) return -1;
  std::int32_t number = 0;
  const char* end = text.data() + kEscape;
  const auto [stop, error] = std::from_chars(text.data() + 2, end, number, 16);
  return error == std::errc() && stop == end && text[2] != '-' ? number : -1;
}

bool is_high(std::int32_t c) { return c >= 0xD800 && c <= 0xDBFF; }
bool is_low(std::int32_t c) { return c >= 0xDC00 && c <= 0xDFFF; }

}  // namespace

std::string with_valid_unicode(std::string_view json) {
  std::string storage;
  std::string valid(valid_utf8(json, storage));
  for (std::size_t at = valid.find('\\'); at != std::string::npos; at = valid.find('\\', at)) {
    const std::int32_t first = escape_at(valid, at);
    if (is_high(first) && is_low(escape_at(valid, at + kEscape))) {
      at += 2 * kEscape;
    } else if (is_high(first) || is_low(first)) {
      valid.replace(at, kEscape, "\\ufffd");
      at += kEscape;
    } else {
      at += 2;  // the character behind the backslash is not one itself
    }
  }
  return valid;
}

}  // namespace loadline
