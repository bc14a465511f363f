#include "base/bytes.h"

#include <cctype>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace loadline {
namespace {

// The power of two that a unit stands for, or -1.
int unit_shift(std::string unit) {
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "b") return 0;
  const std::string tail = unit.substr(1);
  if (!tail.empty() && tail != "b" && tail != "ib") return -1;
  switch (unit[0]) {
    case 'k':
      return 10;
    case 'm':
      return 20;
    case 'g':
      return 30;
    case 't':
      return 40;
    default:
      return -1;
  }
}

constexpr double kLeastWithoutUnit = 1 << 20;

}  // namespace

Bytes parse_bytes(std::string_view text) {
  const std::string copy(text);
  const char* begin = copy.c_str();
  char* end = nullptr;
  const double amount = std::strtod(begin, &end);
  const bool starts_with_digit =
      !copy.empty() && (std::isdigit(static_cast<unsigned char>(copy[0])) != 0);
  while (*end == ' ') ++end;
  const int shift = unit_shift(end);
  const double bytes = std::ldexp(amount, shift);
  if (starts_with_digit && *end == '\0' && amount > 0 && amount < kLeastWithoutUnit) {
    throw usage_error(
        "'{}' has no unit, and bytes are hardly meant. Write for example {}GiB or {}MiB.", text,
        text, text);
  }
  if (!starts_with_digit || shift < 0 || !(bytes <= std::ldexp(1.0, 60))) {
    throw usage_error("'{}' is not an amount of memory. Write for example 512MiB or 20GiB.", text);
  }
  return {static_cast<std::uint64_t>(std::llround(bytes))};
}

std::string to_string(Bytes bytes) {
  const auto count = static_cast<double>(bytes.count);
  if (bytes >= 1_GiB) return fmt::format("{:.2f} GiB", count / (1 << 30));
  if (bytes >= 1_MiB) return fmt::format("{:.1f} MiB", count / (1 << 20));
  if (bytes >= 1_KiB) return fmt::format("{:.1f} KiB", count / (1 << 10));
  return fmt::format("{} B", bytes.count);
}

}  // namespace loadline
