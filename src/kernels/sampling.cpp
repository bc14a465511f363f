#include "kernels/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/storage.h"

namespace loadline {
namespace {

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

// More likely first, and the earlier of equals, so that the choice does not depend on the search.
struct Before {
  std::span<const float> weights;
  [[nodiscard]] float weight(std::int32_t id) const {
    return weights[static_cast<std::size_t>(id)];
  }
  bool operator()(std::int32_t a, std::int32_t b) const {
    return weight(a) != weight(b) ? weight(a) > weight(b) : a < b;
  }
};

// Moves the `count` most likely ones to the front, the least likely of these last.
void put_first(std::span<std::int32_t> ids, std::size_t count, const Before& before) {
  const auto end = ids.begin() + static_cast<std::ptrdiff_t>(count);
  if (count <= ids.size() / 64) {  // then one comparison for nearly all
    std::partial_sort(ids.begin(), end, ids.end(), before);
  } else {
    std::nth_element(ids.begin(), end - 1, ids.end(), before);
  }
}

// Of the most likely `ids` that together have the mass `goal`: the least likely. Halves what it
// may be among.
std::int32_t last_to_reach(double goal, std::span<std::int32_t> ids, const Before& before) {
  while (ids.size() > 1) {
    const std::size_t half = ids.size() / 2;
    put_first(ids, half, before);
    double mass = 0;
    for (const std::int32_t id : ids.first(half)) mass += before.weight(id);
    if (mass >= goal) {
      ids = ids.first(half);
    } else {
      goal -= mass;
      ids = ids.subspan(half);
    }
  }
  return ids.front();
}

// Those without which the rest has the share top_p in any case are left out.
std::span<std::int32_t> likely_ids(std::span<const float> weights, double total, double top_p,
                                   std::span<std::int32_t> into) {
  const double least = (1 - top_p) * total / static_cast<double>(weights.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] >= least) into[count++] = static_cast<std::int32_t>(i);
  }
  return into.first(count);
}

// The least likely token that top_k and top_p leave; -1 where they leave all.
std::int32_t least_kept(const SamplingSettings& settings, const Before& before,
                        std::span<std::int32_t> order) {
  const auto top_k = static_cast<std::size_t>(std::max<std::int64_t>(settings.top_k, 0));
  std::span<std::int32_t> ids = order;
  double total = 0;
  if (top_k > 0 && top_k < order.size()) {
    std::iota(order.begin(), order.end(), 0);
    put_first(order, top_k, before);
    ids = order.first(top_k);
    if (settings.top_p >= 1) return ids.back();
    for (const std::int32_t id : ids) total += before.weight(id);
  } else {
    if (settings.top_p >= 1) return -1;
    for (const float weight : before.weights) total += weight;
    ids = likely_ids(before.weights, total, settings.top_p, order);
  }
  return last_to_reach(settings.top_p * total, ids, before);
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
  const Before before{probabilities};
  const std::int32_t least = least_kept(settings, before, order);
  const auto kept = [&](std::int32_t id) { return least < 0 || !before(least, id); };
  const auto size = static_cast<std::int32_t>(logits.size());
  double mass = 0;
  for (std::int32_t id = 0; id < size; ++id) mass += kept(id) ? before.weight(id) : 0.0F;
  double rest = uniform * mass;
  std::int32_t last = best;
  for (std::int32_t id = 0; id < size; ++id) {
    if (!kept(id) || before.weight(id) == 0) continue;
    rest -= before.weight(id);
    last = id;
    if (rest < 0) break;
  }
  return last;
}

}  // namespace loadline
