#include "text/unicode.h"

#include <simdjson.h>
#include <utf8proc.h>

#include <cstdint>

#include "text/unicode_differences.h"

namespace loadline {
namespace {

unsigned char byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

utf8proc_category_t category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

bool is_mark(char32_t c) {
  const auto kind = category(c);
  return kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
}

bool is_continuation(unsigned char byte) { return (byte & 0xC0U) == 0x80U; }

// What the second byte may be after this first one (Unicode, table 3-7).
bool is_second(unsigned char first, unsigned char second) {
  switch (first) {
    case 0xE0:
      return second >= 0xA0 && second <= 0xBF;
    case 0xED:
      return second >= 0x80 && second <= 0x9F;
    case 0xF0:
      return second >= 0x90 && second <= 0xBF;
    case 0xF4:
      return second >= 0x80 && second <= 0x8F;
    default:
      return is_continuation(second);
  }
}

// The bytes of the sequence at the beginning of `text`, and whether it is whole and valid.
struct Sequence {
  std::size_t bytes;
  bool valid;
};

Sequence first_sequence(std::string_view text) {
  const unsigned char first = byte_at(text, 0);
  if (first < 0x80) return {1, true};
  const std::size_t wanted = first >= 0xC2 && first <= 0xDF   ? 2
                             : first >= 0xE0 && first <= 0xEF ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (wanted == 0 || text.size() < 2 || !is_second(first, byte_at(text, 1))) return {1, false};
  std::size_t good = 2;
  while (good < wanted && good < text.size() && is_continuation(byte_at(text, good))) ++good;
  return {good, good == wanted};
}

}  // namespace

CodePoint first_code_point(std::string_view text) {
  const char32_t first = byte_at(text, 0);
  const auto tail = [&](std::size_t i) { return static_cast<char32_t>(byte_at(text, i) & 0x3FU); };
  if (first < 0x80) return {first, 1};
  if (first < 0xE0) return {(first & 0x1FU) << 6 | tail(1), 2};
  if (first < 0xF0) return {(first & 0x0FU) << 12 | tail(1) << 6 | tail(2), 3};
  return {(first & 0x07U) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
}

CodePoint last_code_point(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && is_continuation(byte_at(text, at))) --at;
  return first_code_point(text.substr(at));
}

void append_utf8(std::string& to, char32_t value) {
  const auto put = [&](char32_t byte) { to += static_cast<char>(static_cast<std::uint8_t>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0U | value >> 6);
    put(0x80U | (value & 0x3FU));
  } else if (value < 0x10000) {
    put(0xE0U | value >> 12);
    put(0x80U | (value >> 6 & 0x3FU));
    put(0x80U | (value & 0x3FU));
  } else {
    put(0xF0U | value >> 18);
    put(0x80U | (value >> 12 & 0x3FU));
    put(0x80U | (value >> 6 & 0x3FU));
    put(0x80U | (value & 0x3FU));
  }
}

bool is_valid_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

std::string_view valid_utf8(std::string_view text, std::string& storage) {
  if (is_valid_utf8(text)) return text;
  storage.clear();
  while (!text.empty()) {
    const Sequence sequence = first_sequence(text);
    storage += sequence.valid ? text.substr(0, sequence.bytes) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(sequence.bytes);
  }
  return storage;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_numeric(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO || (c >= 0x800 && is_newer_number(c));
}

bool is_punctuation(char32_t c) {
  const bool ascii = (c >= 0x21 && c <= 0x2F) || (c >= 0x3A && c <= 0x40) ||
                     (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
  const auto kind = category(c);
  const bool listed = kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
  return ascii || listed != (c >= 0x80 && is_disputed_punctuation(c));
}

bool is_control(char32_t c) {
  const auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CO ||
         (kind == UTF8PROC_CATEGORY_CF && !is_newer_format(c));
}

bool is_combining_mark(char32_t c) {
  const bool was_mark = c == 0x1CF2 || c == 0x1CF3;  // letters since Unicode 12
  return was_mark || (is_mark(c) && !is_newer_mark(c));
}

bool is_nonspacing_mark(char32_t c) {
  const bool was_nonspacing = c == 0x1734;
  return was_nonspacing || (category(c) == UTF8PROC_CATEGORY_MN && !is_newer_nonspacing(c));
}

bool is_word(char32_t c) {
  const auto kind = category(c);
  const bool letter = kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
  // Alphabetic beyond letters and marks: letter-like numbers and the circled and squared letters.
  const bool other_alphabetic = kind == UTF8PROC_CATEGORY_NL || (c >= 0x24B6 && c <= 0x24E9) ||
                                (c >= 0x1F130 && c <= 0x1F149) || (c >= 0x1F150 && c <= 0x1F169) ||
                                (c >= 0x1F170 && c <= 0x1F189);
  const std::string_view newer = c < 0x800 ? "" : newer_category(c);
  return letter || is_mark(c) || kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_PC ||
         other_alphabetic || c == 0x200C || c == 0x200D || newer.starts_with('L') ||
         newer.starts_with('M') || newer == "Nd";
}

}  // namespace loadline
