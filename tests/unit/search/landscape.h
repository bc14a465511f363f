// A made machine: memory and speed for every configuration, and what trying all of them would find.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "search/search.h"

namespace loadline::testing {

// Peak memory: affine in tokens (batch), in rank x layers and in layers, with saved activations
// (batch x layers), rounded up to `step`, with a cliff in the batch and one in the layers, and
// noise that belongs to the configuration.
struct Landscape {
  double fixed = 400, token = 20, activation = 2, adapter = 0.05, layer = 5;  // MiB
  double step = 0;
  std::int64_t cliff_batch = 0, cliff_layers = 0;
  double cliff = 0;
  double noise = 0;  // relative
  // Seconds a token: fixed, a layer, a rank x layer, shared by the batch.
  double token_fixed = 1e-3, token_layer = 2e-5, token_adapter = 1e-8, token_shared = 1e-4;
  double speed_noise = 0;
  std::uint64_t seed = 0;

  // In [-1, 1]; the same for the same configuration and purpose.
  [[nodiscard]] double chance(const Configuration& c, std::uint64_t purpose) const {
    std::seed_seq seeds{seed, purpose, static_cast<std::uint64_t>(c.batch_size),
                        static_cast<std::uint64_t>(c.lora_rank),
                        static_cast<std::uint64_t>(c.lora_layers)};
    std::mt19937 random(seeds);
    return std::uniform_real_distribution<double>(-1, 1)(random);
  }

  [[nodiscard]] double smooth_mib(const Configuration& c) const {
    const auto b = static_cast<double>(c.batch_size);
    const auto r = static_cast<double>(c.lora_rank);
    const auto l = static_cast<double>(c.lora_layers);
    return fixed + token * b + activation * b * l + adapter * r * l + layer * l;
  }

  [[nodiscard]] double mib_without_noise(const Configuration& c) const {
    double amount = smooth_mib(c);
    if (cliff > 0 && c.batch_size >= cliff_batch) amount += cliff;
    if (cliff > 0 && c.lora_layers >= cliff_layers) amount += cliff;
    if (step > 0) amount = std::ceil(amount / step) * step;
    return amount;
  }

  [[nodiscard]] Bytes peak(const Configuration& c) const {
    const double amount = mib_without_noise(c) * (1 + noise * chance(c, 1));
    return Bytes{static_cast<std::uint64_t>(amount * (1 << 20))};
  }

  [[nodiscard]] double speed(const Configuration& c) const {
    const auto l = static_cast<double>(c.lora_layers);
    const double seconds = token_fixed + token_layer * l +
                           token_adapter * static_cast<double>(c.lora_rank) * l +
                           token_shared / static_cast<double>(c.batch_size);
    return (1 + speed_noise * chance(c, 2)) / seconds;
  }

  [[nodiscard]] RunTrial run(const Configuration& c, const SearchLimits& limits) const {
    return run(Question{c, false}, limits);
  }

  [[nodiscard]] RunTrial run(const Question& question, const SearchLimits& limits) const {
    const Configuration& c = question.configuration;
    RunTrial trial;
    trial.configuration = c;
    trial.under_margin = question.under_margin;
    const Bytes cap =
        question.under_margin ? cap_under_margin(limits.budget, limits.margin) : limits.budget;
    const Bytes used = peak(c);
    trial.outcome.peak = MeasuredBytes{used};
    trial.outcome.verdict =
        adjusted(used, limits.margin) <= limits.budget ? Verdict::kFits : Verdict::kExceedsBudget;
    // Far above the cap the process dies before its peak is known.
    if (used > cap) {
      trial.outcome.verdict = Verdict::kOutOfMemory;
      trial.outcome.peak = MeasuredBytes{cap};
    }
    trial.outcome.tokens_per_second = speed(c);
    trial.outcome.step_seconds = 1;
    return trial;
  }
};

inline std::vector<Configuration> all_of(const SearchSpace& space) {
  std::vector<Configuration> all;
  for (const std::int64_t rank : space.ranks) {
    for (const std::int64_t layers : space.layers) {
      for (std::int64_t batch = 1; batch <= space.max_batch; ++batch) {
        all.push_back({batch, rank, layers});
      }
    }
  }
  return all;
}

// Every configuration run: the truth that the search is held against.
inline std::vector<RunTrial> exhaustive(const Landscape& land, const SearchSpace& space,
                                        const SearchLimits& limits) {
  std::vector<RunTrial> trials;
  for (const Configuration& c : all_of(space)) trials.push_back(land.run(c, limits));
  return trials;
}

inline std::int64_t largest_batch(const std::vector<RunTrial>& trials, std::int64_t rank,
                                  std::int64_t layers) {
  std::int64_t batch = 0;
  for (const RunTrial& trial : trials) {
    const Configuration& c = trial.configuration;
    if (trial.outcome.fits() && c.lora_rank == rank && c.lora_layers == layers) {
      batch = std::max(batch, c.batch_size);
    }
  }
  return batch;
}

// Nothing that fits lies above something that does not: else "the" frontier means nothing.
inline bool is_monotone(const std::vector<RunTrial>& trials) {
  for (const RunTrial& a : trials) {
    if (!a.outcome.fits()) continue;
    for (const RunTrial& b : trials) {
      const bool below = b.configuration.batch_size <= a.configuration.batch_size &&
                         b.configuration.lora_rank <= a.configuration.lora_rank &&
                         b.configuration.lora_layers <= a.configuration.lora_layers;
      if (below && !b.outcome.fits()) return false;
    }
  }
  return true;
}

}  // namespace loadline::testing
