#include "kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/storage.h"

namespace loadline {
namespace {

constexpr std::size_t kFirstSorted = 256;

std::int32_t largest(std::span<const float> logits) {
  std::int32_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) return -1;
    if (logits[i] > logits[static_cast<std::size_t>(best)]) best = static_cast<std::int32_t>(i);
  }
  return std::isfinite(logits[static_cast<std::size_t>(best)]) ? best : -1;
}

// Not divided by their sum.
void weigh(std::span<const float> logits, float highest, double temperature,
           std::span<float> weights) {
  for (std::size_t i = 0; i < logits.size(); ++i) {
    weights[i] =
        static_cast<float>(std::exp((static_cast<double>(logits[i]) - highest) / temperature));
  }
}

// Sorts the most likely tokens to the front of `order`, as many as are needed for top_k and top_p,
// and returns how many these are; `mass` becomes their weight.
std::size_t nucleus(std::span<const float> weights, const SamplingSettings& settings,
                    std::span<std::int32_t> order, double& mass) {
  std::iota(order.begin(), order.end(), 0);
  const auto weight = [&](std::int32_t id) { return weights[static_cast<std::size_t>(id)]; };
  // Earlier ids first among equals, so that the choice does not depend on the sort.
  const auto before = [&](std::int32_t a, std::int32_t b) {
    return weight(a) != weight(b) ? weight(a) > weight(b) : a < b;
  };
  const std::size_t limit = settings.top_k > 0
                                ? std::min(order.size(), static_cast<std::size_t>(settings.top_k))
                                : order.size();
  std::size_t sorted = 0;
  const auto sort_to = [&](std::size_t count) {
    std::partial_sort(order.begin() + static_cast<std::ptrdiff_t>(sorted),
                      order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), before);
    sorted = count;
  };
  double total = 0;
  if (limit < order.size()) {
    sort_to(limit);
    for (std::size_t i = 0; i < limit; ++i) total += weight(order[i]);
  } else {
    for (const float w : weights) total += w;
  }
  mass = 0;
  for (std::size_t kept = 0; kept < limit; ++kept) {
    if (kept == sorted) sort_to(std::min(limit, std::max(kFirstSorted, sorted * 8)));
    mass += weight(order[kept]);
    if (mass >= settings.top_p * total) return kept + 1;
  }
  return limit;
}

}  // namespace

std::int32_t sample_token(std::span<const float> logits, const SamplingSettings& settings,
                          double uniform, std::span<float> probabilities,
                          std::span<std::int32_t> order) {
  require(!logits.empty() && probabilities.size() == logits.size() && order.size() == logits.size(),
          "sample_token: logits, probabilities and order must have V elements");
  const std::int32_t best = largest(logits);
  if (best < 0 || settings.temperature == 0) return best;
  weigh(logits, logits[static_cast<std::size_t>(best)], settings.temperature, probabilities);
  double mass = 0;
  const std::size_t kept = nucleus(probabilities, settings, order, mass);
  double rest = uniform * mass;
  for (std::size_t i = 0; i < kept; ++i) {
    rest -= probabilities[static_cast<std::size_t>(order[i])];
    if (rest < 0) return order[i];
  }
  return order[kept - 1];
}

}  // namespace loadline
