#include "search/blocks.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "search/numbers.h"

namespace loadline {
namespace {

constexpr std::size_t kEnough = 3;
// Blocks smaller than this share of the largest peak move no boundary; larger ones would leave
// too few multiples to tell them from chance.
constexpr double kSmallest = 1.0 / 600, kLargest = 1.0 / 8;
// A peak differs from its multiple by about this much, relatively, as far as is known before.
constexpr double kNoise = 3e-4;
constexpr double kNoiseWeight = 3;  // in peaks
// The size near `size` that fits all peaks best, given which multiple each is.
double refined(double size, const std::vector<double>& peaks) {
  double products = 0;
  double squares = 0;
  for (const double peak : peaks) {
    const double ratio = std::round(peak / size) / peak;  // relative errors count alike
    products += ratio;
    squares += ratio * ratio;
  }
  return products / squares;
}

Blocks judged(double size, double spread, const std::vector<double>& peaks) {
  const auto count = static_cast<double>(peaks.size());
  double sum = kNoiseWeight * squared(kNoise);
  for (const double peak : peaks) {
    const double multiple = std::round(peak / size) * size;
    sum += multiple > 0 ? squared(peak / multiple - 1) : 1;
  }
  Blocks blocks{.size = size, .noise = std::sqrt(sum / (kNoiseWeight + count)), .log_support = 0};
  for (const double peak : peaks) {
    const double multiple = std::fmax(std::round(peak / size) * size, size);
    const double deviation = blocks.noise * peak;
    blocks.log_support += std::log(std::fmin(size, spread) / (deviation * std::sqrt(kTwoPi))) -
                          0.5 * squared((peak - multiple) / deviation);
  }
  // Of all sizes, on a logarithmic scale, only those this near would have done.
  const double precision = blocks.noise / std::sqrt(count);
  blocks.log_support += std::log(precision * std::sqrt(kTwoPi) / std::log(kLargest / kSmallest));
  return blocks;
}

}  // namespace

std::vector<Blocks> likely_blocks(const std::vector<double>& peaks, double spread,
                                  std::size_t limit) {
  if (peaks.size() < kEnough) return {};
  const double largest = *std::max_element(peaks.begin(), peaks.end());
  std::vector<Blocks> all;
  for (double multiple = std::ceil(1 / kLargest); multiple <= 1 / kSmallest; ++multiple) {
    const double size = refined(refined(largest / multiple, peaks), peaks);
    if (!(size > 0) || !std::isfinite(size)) continue;
    all.push_back(judged(size, spread, peaks));
  }
  std::sort(all.begin(), all.end(),
            [](const Blocks& a, const Blocks& b) { return a.log_support > b.log_support; });
  std::vector<Blocks> best;
  for (const Blocks& blocks : all) {
    if (best.size() == limit || blocks.log_support < 0) break;
    const bool known = std::any_of(best.begin(), best.end(), [&](const Blocks& other) {
      return std::abs(std::log(other.size / blocks.size)) < other.noise;
    });
    if (!known) best.push_back(blocks);
  }
  return best;
}

}  // namespace loadline
