// The rotary embedding's part of config.json, in its old and its new spelling.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"
#include "checkpoint/config.h"

namespace loadline {

struct RopeConfig {
  double theta = 10000;
  std::optional<Llama3Rope> llama3;
};

// Old: "rope_theta" and "rope_scaling" (null, or an object with "rope_type", earlier "type"). New
// (transformers 5): "rope_parameters" with both in it; it wins where both stand. Supported types:
// default, llama3. Throws Error(kBadInput) naming any other.
RopeConfig parse_rope(const Json& document, const std::string& source);

}  // namespace loadline
