#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/config.h"

namespace loadline {

// The angle that each pair of a head turns by per position, (HD/2): theta^(-2i/HD), with llama3
// scaling where the model asks for it (transformers, modeling_rope_utils,
// _compute_llama3_parameters).
std::vector<double> rope_frequencies(const ModelConfig& model);

// cos and sin of position x frequency, each (positions, HD/2) row-major, computed in double.
void fill_rope_table(const ModelConfig& model, std::int64_t positions, std::span<float> cos,
                     std::span<float> sin);

}  // namespace loadline
