#include "jinja/text.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace loadline::jinja {
namespace {

utf8proc_category_t category(std::uint32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

std::size_t size_of_point(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

// Of the letters whose other case is more than one letter, those that people write.
std::string_view long_upper(std::uint32_t code) {
  switch (code) {
    case 0xDF:
      return "SS";
    case 0x149:
      return "\u02BCN";
    case 0xFB00:
      return "FF";
    case 0xFB01:
      return "FI";
    case 0xFB02:
      return "FL";
    default:
      return {};
  }
}

void append_lower(std::string& out, std::uint32_t code) {
  if (code == 0x130) {
    out += "i\u0307";
  } else {
    append_point(out, static_cast<std::uint32_t>(utf8proc_tolower(static_cast<int>(code))));
  }
}

void append_upper(std::string& out, std::uint32_t code) {
  const std::string_view longer = long_upper(code);
  if (!longer.empty()) {
    out += longer;
  } else {
    append_point(out, static_cast<std::uint32_t>(utf8proc_toupper(static_cast<int>(code))));
  }
}

void append_title(std::string& out, std::uint32_t code) {
  const std::string_view longer = long_upper(code);
  if (longer.empty()) {
    append_point(out, static_cast<std::uint32_t>(utf8proc_totitle(static_cast<int>(code))));
  } else if (code == 0x149) {
    out += longer;
  } else {
    out += longer[0];
    for (const char rest : longer.substr(1)) out += static_cast<char>(rest - 'A' + 'a');
  }
}

}  // namespace

Point first_point(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])) : 0U;
  };
  const std::size_t size =
      std::min(size_of_point(static_cast<unsigned char>(text[0])), text.size());
  switch (size) {
    case 1:
      return {byte(0), 1};
    case 2:
      return {((byte(0) & 0x1FU) << 6) | (byte(1) & 0x3FU), 2};
    case 3:
      return {((byte(0) & 0x0FU) << 12) | ((byte(1) & 0x3FU) << 6) | (byte(2) & 0x3FU), 3};
    default:
      return {((byte(0) & 0x07U) << 18) | ((byte(1) & 0x3FU) << 12) | ((byte(2) & 0x3FU) << 6) |
                  (byte(3) & 0x3FU),
              4};
  }
}

std::size_t last_point_size(std::string_view text) {
  std::size_t size = 1;
  while (size < text.size() &&
         (static_cast<unsigned char>(text[text.size() - size]) & 0xC0U) == 0x80U) {
    ++size;
  }
  return size;
}

void append_point(std::string& text, std::uint32_t code) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto size = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code), bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(size));
}

std::size_t code_point_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool is_space(std::uint32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
         code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_printable(std::uint32_t code) {
  if (code == ' ') return true;
  switch (category(code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    default:
      return true;
  }
}

bool is_upper(std::uint32_t code) { return category(code) == UTF8PROC_CATEGORY_LU; }
bool is_lower(std::uint32_t code) {
  return category(code) == UTF8PROC_CATEGORY_LL || code == 0xAA || code == 0xBA;
}
bool is_cased(std::uint32_t code) {
  return is_upper(code) || is_lower(code) || category(code) == UTF8PROC_CATEGORY_LT;
}
bool is_alpha(std::uint32_t code) {
  const utf8proc_category_t kind = category(code);
  return kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO;
}
bool is_decimal(std::uint32_t code) { return category(code) == UTF8PROC_CATEGORY_ND; }
bool is_digit(std::uint32_t code) {
  return is_decimal(code) || code == 0xB2 || code == 0xB3 || code == 0xB9 || code == 0x2070 ||
         (code >= 0x2074 && code <= 0x2079) || (code >= 0x2080 && code <= 0x2089) ||
         (code >= 0x2460 && code <= 0x2468);
}
bool is_numeric(std::uint32_t code) {
  const utf8proc_category_t kind = category(code);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

bool is_identifier(std::string_view text) {
  bool first = true;
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    const bool letter = code == '_' || is_alpha(code);
    if (!letter && (first || (!is_decimal(code) && category(code) != UTF8PROC_CATEGORY_MN &&
                              category(code) != UTF8PROC_CATEGORY_MC))) {
      return false;
    }
    first = false;
  }
  return !first;
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const std::string_view point : code_points(text)) append_upper(out, first_point(point).code);
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const std::string_view point : code_points(text)) append_lower(out, first_point(point).code);
  return out;
}

std::string to_title_point(std::string_view point) {
  std::string out;
  append_title(out, first_point(point).code);
  return out;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t head = first_point(text).size;
  return to_title_point(text.substr(0, head)) + to_lower(text.substr(head));
}

std::string title_words(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    in_word ? append_lower(out, code) : append_title(out, code);
    in_word = is_cased(code);
  }
  return out;
}

std::string title_filter(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    const bool between =
        is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
    in_word ? append_lower(out, code) : append_upper(out, code);
    in_word = !between;
  }
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for (const std::string_view point : code_points(text)) {
    const std::uint32_t code = first_point(point).code;
    is_upper(code) ? append_lower(out, code) : append_upper(out, code);
  }
  return out;
}

}  // namespace loadline::jinja
