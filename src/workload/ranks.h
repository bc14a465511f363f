// How large a LoRA rank may be, and up to which it is of use.
#pragma once

#include <cstdint>
#include <string>

#include "checkpoint/adapter.h"
#include "checkpoint/config.h"

namespace loadline {

inline constexpr std::int64_t kMostRank = 16384;  // as validate(TrainingSettings) has it

// The largest rank of which some target module still has a use: a product B A of its in x out has
// no rank above the smaller of the two.
struct UsefulRank {
  std::int64_t rank = kMostRank;
  std::string module;  // "q_proj, 192 x 192": one that has a use of it
};
UsefulRank useful_rank(const ModelConfig& model, const LoraSettings& lora);

// "Warning: rank 5000 is more than any module can use ..."; empty where it is not.
std::string rank_warning(const ModelConfig& model, const LoraSettings& lora, std::int64_t rank);

}  // namespace loadline
