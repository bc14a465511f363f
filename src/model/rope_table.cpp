#include "model/rope_table.h"

#include <cmath>
#include <numbers>

namespace loadline {
namespace {

// Long waves are stretched by the factor, short ones are kept, those between are blended.
double llama3_scaled(double frequency, const Llama3Rope& rope) {
  const auto original = static_cast<double>(rope.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength > original / rope.low_freq_factor) return frequency / rope.factor;
  if (wavelength < original / rope.high_freq_factor) return frequency;
  const double smooth = (original / wavelength - rope.low_freq_factor) /
                        (rope.high_freq_factor - rope.low_freq_factor);
  return (1 - smooth) * frequency / rope.factor + smooth * frequency;
}

}  // namespace

std::vector<double> rope_frequencies(const ModelConfig& model) {
  std::vector<double> frequencies(static_cast<std::size_t>(model.head_dim / 2));
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(model.head_dim);
    const double frequency = std::pow(model.rope_theta, -exponent);
    frequencies[i] = model.rope_llama3 ? llama3_scaled(frequency, *model.rope_llama3) : frequency;
  }
  return frequencies;
}

void fill_rope_table(const ModelConfig& model, std::int64_t positions, std::span<float> cos,
                     std::span<float> sin) {
  const std::vector<double> frequencies = rope_frequencies(model);
  std::size_t at = 0;
  for (std::int64_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      cos[at] = static_cast<float>(std::cos(angle));
      sin[at] = static_cast<float>(std::sin(angle));
      ++at;
    }
  }
}

}  // namespace loadline
