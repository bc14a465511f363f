// SplitMix64 (Steele, Lea and Flood 2014): its values are the same everywhere, unlike those of the
// standard library's distributions.
#pragma once

#include <cstdint>

namespace loadline {

// What the state grows by, and what makes a number of the state.
constexpr std::uint64_t kSplitMixGamma = 0x9e3779b97f4a7c15U;
constexpr std::uint64_t split_mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  // Streams of one seed have nothing in common.
  SplitMix(std::uint64_t seed, std::uint64_t stream)
      : state_(split_mixed(split_mixed(seed) ^ (stream + kSplitMixGamma))) {}

  std::uint64_t next() { return split_mixed(state_ += kSplitMixGamma); }
  // Uniform in [0, bound), without bias.
  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t reject_below = (0 - bound) % bound;
    std::uint64_t x = next();
    while (x < reject_below) x = next();
    return x % bound;
  }
  // In (-1, 1), 24 bits, never 0 by chance of an endpoint.
  float next_symmetric() {
    const auto bits = static_cast<double>(next() >> 40);
    return static_cast<float>((bits + 0.5) / (1 << 23) - 1.0);
  }
  // In [0, 1), 53 bits.
  double next_unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  std::uint64_t state_;
};

}  // namespace loadline
