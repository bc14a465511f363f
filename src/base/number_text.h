// A number for people, also where it is none: "2.4900", "not a number", "infinite".
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace loadline {

// Without `decimals` the shortest text that is this very number.
inline std::string number_text(double value, int decimals = -1) {
  if (std::isnan(value)) return "not a number";
  if (std::isinf(value)) return value > 0 ? "infinite" : "minus infinite";
  return decimals < 0 ? fmt::format("{}", value) : fmt::format("{:.{}f}", value, decimals);
}

// "15 %" of 0.15, "12.5 %" of 0.125.
inline std::string percent_text(double share) { return fmt::format("{:g} %", share * 100); }

}  // namespace loadline
