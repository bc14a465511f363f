// The rotary embedding's part of config.json, in its old and its new spelling.
#pragma once

#include <optional>
#include <string>

#include "base/json_fwd.h"
#include "checkpoint/config.h"
#include "checkpoint/family.h"

namespace loadline {

struct RopeConfig {
  double theta = 10000;
  double local_theta = 0;
  double local_factor = 1;
  double factor = 1;
  std::int64_t dim = 0;
  std::optional<Llama3Rope> llama3;
  std::optional<LongRope> longrope;
};

// Old: "rope_theta" and "rope_scaling" (null, or an object with "rope_type", earlier "type"). New
// (transformers 5): "rope_parameters" with both in it, for gemma3 once for each layer type; it wins
// where both stand. Supported types: default, linear, llama3, longrope; of
// gemma3's windowed layers default and linear. Throws Error(kBadInput) naming any other. Of
// `config` head_dim and max_positions are there already.
RopeConfig parse_rope(const Json& document, const Family& family, const ModelConfig& config,
                      const std::string& source);

}  // namespace loadline
