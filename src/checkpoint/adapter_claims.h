// What an adapter's configuration says, before its tensors were seen; PEFT's or mlx-lm's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/adapter.h"

namespace loadline {

// Modules whose name is, or ends with ".", the key. The first key that is found counts.
template <typename Value>
using ModulePattern = std::vector<std::pair<std::string, Value>>;

// What an alpha may be, so that each scale is one, in either format.
inline constexpr double kLeastAlpha = 1e-9;
inline constexpr double kMostAlpha = 1e9;

struct AdapterClaims {
  std::string base_model, base_revision;
  std::int64_t rank = 0;
  double alpha = 0;              // scale = alpha / rank
  bool rank_stabilized = false;  // PEFT's use_rslora: scale = alpha / sqrt(rank)
  ModulePattern<std::int64_t> rank_pattern;
  bool ranks_from_tensors = false;  // rank_pattern has regular expressions
  ModulePattern<double> alpha_pattern;
  std::optional<std::vector<Projection>> targets;   // none: a pattern; the tensors tell
  bool targets_exact = true;                        // false: some modules or layers may be left out
  std::optional<std::vector<std::int64_t>> layers;  // sorted; none: all, or last_layers
  std::optional<std::int64_t> last_layers;          // mlx-lm: the last N
};

// The rank that the configuration gives to a module; none: the tensors tell.
std::optional<std::int64_t> claimed_rank(const AdapterClaims& claims, std::int64_t layer,
                                         Projection projection);
// alpha such that the pair's scale is alpha / rank.
double claimed_alpha(const AdapterClaims& claims, std::int64_t layer, Projection projection,
                     std::int64_t rank);

}  // namespace loadline
