// int("...") and float("...") as Python reads them.
#pragma once

#include <optional>
#include <string_view>

#include "jinja/value.h"

namespace loadline::jinja {

// 16, 8 or 2 as 0x, 0o or 0b at the beginning say; 0 without one.
int prefix_base(std::string_view text);
// White space around, a sign, digits with single underscores between them, a prefix that fits the
// base (0: the prefix says the base). nullopt for anything else. Throws Failure beyond 128 bits.
std::optional<Integer> parse_integer(std::string_view text, int base);
// Also "inf", "infinity", "nan".
std::optional<double> parse_float(std::string_view text);

}  // namespace loadline::jinja
