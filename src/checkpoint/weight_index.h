// model.safetensors.index.json: which file has which tensor.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

namespace loadline {

inline constexpr const char* kSingleWeightFile = "model.safetensors";
inline constexpr const char* kWeightIndexFile = "model.safetensors.index.json";

// Tensor -> file name. Throws Error(kBadInput) naming the file for what is malformed, and for a
// file name that is not the plain name of a .safetensors file in the same folder.
std::map<std::string, std::string> read_weight_index(const std::filesystem::path& index);

// The files that the index names.
std::set<std::string> weight_shards(const std::filesystem::path& index);

}  // namespace loadline
