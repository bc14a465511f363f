#include "jinja/parse_number.h"

#include <cstdlib>
#include <limits>
#include <string>

#include "jinja/text.h"

namespace loadline::jinja {
namespace {

bool take_sign(std::string_view& text) {
  if (text.empty() || (text[0] != '-' && text[0] != '+')) return false;
  const bool negative = text[0] == '-';
  text.remove_prefix(1);
  return negative;
}

// Digits with single underscores between digits only; empty when malformed.
std::string without_underscores(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
      continue;
    }
    const bool between =
        i > 0 && i + 1 < text.size() && digit_of(text[i - 1]) < 36 && digit_of(text[i + 1]) < 36;
    if (!between) return {};
  }
  return out;
}

bool is_decimal_number(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t begin = at;
    while (at < text.size() && digit_of(text[at]) < 10) ++at;
    return at - begin;
  };
  std::size_t count = digits();
  if (at < text.size() && text[at] == '.') {
    ++at;
    count += digits();
  }
  if (count == 0) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

}  // namespace

int prefix_base(std::string_view text) {
  if (text.size() < 2 || text[0] != '0') return 0;
  switch (text[1]) {
    case 'x':
    case 'X':
      return 16;
    case 'o':
    case 'O':
      return 8;
    case 'b':
    case 'B':
      return 2;
    default:
      return 0;
  }
}

std::optional<Integer> parse_integer(std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
  text = strip(text, true, true);
  const bool negative = take_sign(text);
  const int prefix = prefix_base(text);
  if (prefix != 0 && (base == 0 || base == prefix)) {
    base = prefix;
    text.remove_prefix(2);
    if (!text.empty() && text[0] == '_') text.remove_prefix(1);
  } else if (base == 0) {
    base = 10;
    if (text.size() > 1 && text[0] == '0' &&
        text.find_first_not_of("0_") != std::string_view::npos) {
      return std::nullopt;
    }
  }
  const std::string digits = without_underscores(text);
  if (digits.empty()) return std::nullopt;
  for (const char c : digits) {
    if (digit_of(c) >= base) return std::nullopt;
  }
  Integer number = 0;
  for (const char c : digits) {
    if (__builtin_mul_overflow(number, Integer{base}, &number) ||
        __builtin_add_overflow(number, Integer{digit_of(c)}, &number)) {
      throw Failure("an integer is beyond 128 bits");
    }
  }
  return negative ? -number : number;
}

std::optional<double> parse_float(std::string_view text) {
  text = strip(text, true, true);
  const bool negative = take_sign(text);
  const std::string word = to_lower(text);
  std::optional<double> number;
  if (word == "inf" || word == "infinity") {
    number = std::numeric_limits<double>::infinity();
  } else if (word == "nan") {
    number = std::numeric_limits<double>::quiet_NaN();
  } else {
    const std::string plain = without_underscores(text);
    if (!is_decimal_number(plain)) return std::nullopt;
    number = std::strtod(plain.c_str(), nullptr);
  }
  return negative ? -*number : *number;
}

}  // namespace loadline::jinja
