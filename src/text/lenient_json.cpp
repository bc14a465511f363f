#include "text/lenient_json.h"

#include <algorithm>
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

template <typename Number>
bool is_beyond(std::string_view text) {
  Number number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc::result_out_of_range && stop == text.data() + text.size();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Of what JSON takes for a number. from_chars takes leading zeros and a point without digits too.
bool is_beyond_range(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.empty() || !is_digit(digits[0])) return false;
  if (digits.size() > 1 && digits[0] == '0' && is_digit(digits[1])) return false;
  const std::size_t point = digits.find('.');
  if (point != std::string_view::npos &&
      (point + 1 == digits.size() || !is_digit(digits[point + 1]))) {
    return false;
  }
  if (digits.find_first_of(".eE") != std::string_view::npos) return is_beyond<double>(text);
  return text.starts_with('-') ? is_beyond<std::int64_t>(text) : is_beyond<std::uint64_t>(text);
}

}  // namespace

std::string with_holdable_values(std::string_view json, std::string_view number,
                                 std::string_view half) {
  std::string mended;
  bool in_string = false;
  for (std::size_t at = 0; at < json.size();) {
    std::size_t size = 1;
    std::string_view instead = json.substr(at, 1);
    if (in_string && json[at] == '\\') {
      const std::int32_t first = escape_at(json, at);
      const bool pair = is_high(first) && is_low(escape_at(json, at + kEscape));
      size = pair ? 2 * kEscape : first >= 0 ? kEscape : 2;
      instead = !pair && (is_high(first) || is_low(first)) ? half : json.substr(at, size);
    } else if (json[at] == '"') {
      in_string = !in_string;
    } else if (!in_string && (json[at] == '-' || is_digit(json[at]))) {
      size = std::min(json.find_first_not_of("0123456789+-.eE", at), json.size()) - at;
      instead = json.substr(at, size);
      if (is_beyond_range(instead)) instead = number;
    }
    mended += instead;
    at += size;
  }
  return mended;
}

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
