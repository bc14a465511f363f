#include "search/truncated.h"

#include <cmath>

#include "search/numbers.h"

namespace loadline {
namespace {

double below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(kTwoPi); }

}  // namespace

Truncated truncated(double mean, double variance, double low, double high) {
  constexpr double kTail = 6;  // farther out nothing but the nearer bound matters
  const double deviation = std::sqrt(variance);
  const double a = (low - mean) / deviation;
  const double b = (high - mean) / deviation;
  const double far = std::fmax(a, -b);
  if (far > kTail) {
    // Beyond the tail the value falls off exponentially from the bound, within the interval.
    const double width = std::fmin(1 / far, (b - a) / 4) * deviation;
    return {a > 0 ? low + width : high - width, squared(width),
            -0.5 * squared(far) - std::log(far * std::sqrt(kTwoPi))};
  }
  const double chance = std::fmax(a > 0 ? below(-a) - below(-b) : below(b) - below(a), 1e-300);
  const double at_a = std::isfinite(a) ? density(a) : 0;
  const double at_b = std::isfinite(b) ? density(b) : 0;
  const double shift = (at_a - at_b) / chance;
  const double tilt =
      ((std::isfinite(a) ? a * at_a : 0) - (std::isfinite(b) ? b * at_b : 0)) / chance;
  const double share = std::fmax(1 + tilt - squared(shift), 1e-6);
  return {mean + deviation * shift, variance * share, std::log(chance)};
}

}  // namespace loadline
