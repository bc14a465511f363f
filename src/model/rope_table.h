#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/config.h"

namespace loadline {

// How positions turn a head: by `frequencies` (turned/2) each, theta^(-2i/turned) with the scaling
// that the model asks for (transformers, modeling_rope_utils); cos and sin are multiplied by
// magnitude.
struct Rope {
  std::vector<double> frequencies;
  double magnitude = 1;
};

// The tables that rows of at most `longest_row` tokens need, up to two: the second is that of rows
// beyond longrope's original context, or that of the layers with a window.
std::vector<Rope> ropes_of(const ModelConfig& model, std::int64_t longest_row);

// cos and sin of position x frequency, each (tables, positions, turned/2), computed in double.
void fill_rope_tables(const std::vector<Rope>& ropes, std::int64_t positions, std::span<float> cos,
                      std::span<float> sin);

// The table of a layer, counted from 0.
std::int64_t rope_table_of(const ModelConfig& model, std::int64_t layer);
// Whether a row of that length takes the second table.
bool takes_long_rope(const ModelConfig& model, std::int64_t row_length);

}  // namespace loadline
