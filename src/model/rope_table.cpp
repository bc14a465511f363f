#include "model/rope_table.h"

#include <algorithm>
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

Rope plain(const ModelConfig& model, double theta) {
  Rope rope;
  rope.frequencies.resize(static_cast<std::size_t>(model.turned() / 2));
  for (std::size_t i = 0; i < rope.frequencies.size(); ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(model.turned());
    rope.frequencies[i] = std::pow(theta, -exponent);
  }
  return rope;
}

Rope divided(Rope rope, const std::vector<double>& factors, double magnitude) {
  for (std::size_t i = 0; i < rope.frequencies.size(); ++i) rope.frequencies[i] /= factors.at(i);
  rope.magnitude = magnitude;
  return rope;
}

}  // namespace

std::vector<Rope> ropes_of(const ModelConfig& model, std::int64_t longest_row) {
  const auto& turned = model.turned_layers;
  if (!turned.empty() && std::find(turned.begin(), turned.end(), true) == turned.end()) return {};
  Rope rope = plain(model, model.rope_theta);
  for (double& frequency : rope.frequencies) {
    if (model.rope_llama3) frequency = llama3_scaled(frequency, *model.rope_llama3);
    frequency /= model.rope_factor;
  }
  if (model.rope_local_theta != 0) {
    Rope local = plain(model, model.rope_local_theta);
    for (double& frequency : local.frequencies) frequency /= model.rope_local_factor;
    return {rope, local};
  }
  if (!model.rope_long) return {rope};
  const LongRope& scaling = *model.rope_long;
  std::vector<Rope> ropes{divided(rope, scaling.short_factors, scaling.magnitude)};
  if (takes_long_rope(model, longest_row)) {
    ropes.push_back(divided(rope, scaling.long_factors, scaling.magnitude));
  }
  return ropes;
}

void fill_rope_tables(const std::vector<Rope>& ropes, std::int64_t positions, std::span<float> cos,
                      std::span<float> sin) {
  std::size_t at = 0;
  for (const Rope& rope : ropes) {
    for (std::int64_t position = 0; position < positions; ++position) {
      for (const double frequency : rope.frequencies) {
        const double angle = static_cast<double>(position) * frequency;
        cos[at] = static_cast<float>(std::cos(angle) * rope.magnitude);
        sin[at] = static_cast<float>(std::sin(angle) * rope.magnitude);
        ++at;
      }
    }
  }
}

std::int64_t rope_table_of(const ModelConfig& model, std::int64_t layer) {
  return model.rope_local_theta != 0 && model.window_of(layer) > 0 ? 1 : 0;
}

bool takes_long_rope(const ModelConfig& model, std::int64_t row_length) {
  return model.rope_long && row_length > model.rope_long->original_max_positions;
}

}  // namespace loadline
