// The files of an adapter's folder.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace loadline {

inline constexpr const char* kAdapterConfig = "adapter_config.json";
inline constexpr const char* kPeftTensors = "adapter_model.safetensors";
inline constexpr const char* kMlxTensors = "adapters.safetensors";

// (rows, cols) row-major -> (cols, rows).
std::vector<float> transposed(std::span<const float> values, std::int64_t rows, std::int64_t cols);

}  // namespace loadline
