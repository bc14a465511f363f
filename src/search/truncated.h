// A normal value of which it is only known that it lies between bounds.
#pragma once

namespace loadline {

struct Truncated {
  double mean = 0, variance = 1;
  double log_chance = 0;  // of lying there, before that was known
};

// Bounds may be infinite; far outside them the nearer one decides.
Truncated truncated(double mean, double variance, double low, double high);

}  // namespace loadline
