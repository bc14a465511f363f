// SplitMix64 (Steele, Lea and Flood 2014): its values are the same everywhere, unlike those of the
// standard library's distributions.
#pragma once

#include <cstdint>

namespace loadline {

class SplitMix {
 public:
  explicit SplitMix(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
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
