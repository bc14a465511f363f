#include "jinja/literals.h"

#include <fmt/format.h>

#include <cstdlib>

#include "jinja/parse_number.h"
#include "jinja/text.h"

namespace loadline::jinja {
namespace {

// (_?digit)* from `at` on, or 0 size.
std::size_t digits_from(std::string_view text, std::size_t at, int base) {
  std::size_t end = at;
  while (end < text.size()) {
    const std::size_t next = text[end] == '_' ? end + 1 : end;
    if (next >= text.size() || digit_of(text[next]) >= base) break;
    end = next + 1;
  }
  return end - at;
}

std::string without_separators(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c != '_') out += c;
  }
  return out;
}

// (\d+_)*\d+ from `at` on: unlike above it begins with a digit.
std::size_t decimal_from(std::string_view text, std::size_t at) {
  if (at >= text.size() || digit_of(text[at]) >= 10) return 0;
  return digits_from(text, at, 10);
}

// e[+-]?digits from `at` on.
std::size_t exponent_from(std::string_view text, std::size_t at) {
  if (at >= text.size() || (text[at] != 'e' && text[at] != 'E')) return 0;
  std::size_t sign = at + 1;
  if (sign < text.size() && (text[sign] == '+' || text[sign] == '-')) ++sign;
  const std::size_t digits = decimal_from(text, sign);
  return digits == 0 ? 0 : sign + digits - at;
}

std::optional<NumberLiteral> read_float(std::string_view text) {
  std::size_t size = decimal_from(text, 0);
  if (size == 0) return std::nullopt;
  std::size_t fraction = 0;
  if (size < text.size() && text[size] == '.') {
    fraction = decimal_from(text, size + 1);
    if (fraction > 0) ++fraction;
  }
  const std::size_t exponent = exponent_from(text, size + fraction);
  if (fraction + exponent == 0) return std::nullopt;
  size += fraction + exponent;
  NumberLiteral literal;
  literal.size = size;
  literal.is_float = true;
  literal.number = std::strtod(without_separators(text.substr(0, size)).c_str(), nullptr);
  return literal;
}

std::optional<NumberLiteral> read_integer(std::string_view text) {
  NumberLiteral literal;
  const int prefix = prefix_base(text);
  int base = prefix == 0 ? 10 : prefix;
  std::size_t begin = prefix == 0 ? 0 : 2;
  std::size_t digits = digits_from(text, begin, base);
  if (base != 10 && digits == 0) {
    base = 10;
    begin = 0;
    digits = decimal_from(text, 0);
  }
  if (base == 10) {
    if (text.empty() || digit_of(text[0]) >= 10) return std::nullopt;
    // A decimal does not begin with 0, except 0 itself, however long.
    if (text[0] == '0') digits = digits_from(text, 0, 1);
  }
  literal.size = begin + digits;
  for (const char c : without_separators(text.substr(begin, digits))) {
    literal.too_large |= __builtin_mul_overflow(literal.integer, Integer{base}, &literal.integer);
    literal.too_large |=
        __builtin_add_overflow(literal.integer, Integer{digit_of(c)}, &literal.integer);
  }
  return literal;
}

// `count` hexadecimal digits after \x, \u or \U.
std::uint32_t hexadecimal(std::string_view text, std::size_t at, std::size_t count) {
  std::uint32_t code = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const int digit = at + i < text.size() ? digit_of(text[at + i]) : 99;
    if (digit >= 16) throw Failure(fmt::format("an escape in a string wants {} digits", count));
    code = code * 16 + static_cast<std::uint32_t>(digit);
  }
  if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
    throw Failure("an escape in a string is no Unicode character");
  }
  return code;
}

std::size_t octal_size(std::string_view text, std::size_t at) {
  std::size_t size = 0;
  while (size < 3 && at + size < text.size() && digit_of(text[at + size]) < 8) ++size;
  return size;
}

std::optional<char> simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return std::nullopt;
  }
}

// Reads the escape whose letter stands at `at`; returns the bytes it takes from there on.
std::size_t append_escape(std::string& out, std::string_view text, std::size_t at) {
  const char c = text[at];
  if (const auto simple = simple_escape(c)) {
    out += *simple;
    return 1;
  }
  if (c == '\n') return 1;
  if (c == 'x' || c == 'u' || c == 'U') {
    const std::size_t count = c == 'x' ? 2 : c == 'u' ? 4 : 8;
    append_point(out, hexadecimal(text, at + 1, count));
    return 1 + count;
  }
  if (c == 'N') throw Failure("escapes by name (\\N{...}) are not supported");
  if (const std::size_t octal = octal_size(text, at); octal > 0) {
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < octal; ++i) {
      code = code * 8 + static_cast<std::uint32_t>(text[at + i] - '0');
    }
    append_point(out, code);
    return octal;
  }
  out += '\\';
  return 0;
}

}  // namespace

std::optional<NumberLiteral> read_number(std::string_view text, char before) {
  if (text.empty() || digit_of(text[0]) >= 10) return std::nullopt;
  if (before != '.') {
    if (auto literal = read_float(text)) return literal;
  }
  return read_integer(text);
}

std::size_t name_size(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size()) {
    const Point point = first_point(text.substr(size));
    const bool part = point.code == '_' || is_alpha(point.code) || is_numeric(point.code) ||
                      (point.code >= 0x80 &&
                       is_identifier(std::string("a").append(text.substr(size, point.size))));
    if (!part) break;
    size += point.size;
  }
  return size;
}

std::string unescape(std::string_view text) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at++];
      continue;
    }
    at += 1 + append_escape(out, text, at + 1);
  }
  return out;
}

}  // namespace loadline::jinja
