// Arithmetic that several of the search's beliefs need.
#pragma once

#include <numbers>

namespace loadline {

inline constexpr double kTwoPi = 2 * std::numbers::pi;

constexpr double squared(double x) { return x * x; }

}  // namespace loadline
