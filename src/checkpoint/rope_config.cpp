#include "checkpoint/rope_config.h"

#include <cmath>
#include <string_view>

#include "base/error.h"

namespace loadline {
namespace {

double positive(const Json& object, std::string_view key, const std::string& source) {
  const double value = json_number(object, key, source);
  if (!(value > 0 && value < 1e15)) {
    throw bad_input("{}: '{}' is {}, but it must be above 0 and below 1e15", source, key, value);
  }
  return value;
}

std::string rope_type(const Json& rope, const std::string& source) {
  if (json_find(rope, "rope_type") != nullptr) return json_string(rope, "rope_type", source);
  if (json_find(rope, "type") != nullptr) return json_string(rope, "type", source);
  return "default";
}

Llama3Rope parse_llama3(const Json& rope, const std::string& source) {
  Llama3Rope llama3;
  llama3.factor = positive(rope, "factor", source);
  llama3.low_freq_factor = positive(rope, "low_freq_factor", source);
  llama3.high_freq_factor = positive(rope, "high_freq_factor", source);
  llama3.original_max_positions = json_int(rope, "original_max_position_embeddings", source);
  // The formula divides by the difference of the two frequency factors.
  if (llama3.high_freq_factor <= llama3.low_freq_factor) {
    throw bad_input("{}: rope's high_freq_factor {} must be above its low_freq_factor {}", source,
                    llama3.high_freq_factor, llama3.low_freq_factor);
  }
  if (llama3.original_max_positions < 1 ||
      llama3.original_max_positions > (std::int64_t{1} << 31)) {
    throw bad_input(
        "{}: rope's original_max_position_embeddings is {}, but it must be from 1 to "
        "2^31",
        source, llama3.original_max_positions);
  }
  return llama3;
}

void refuse_partial(const Json& object, const std::string& source) {
  if (json_find(object, "partial_rotary_factor") == nullptr) return;
  const double share = json_number(object, "partial_rotary_factor", source);
  if (share != 1.0) {
    throw bad_input("{}: partial_rotary_factor {} is not supported. Supported is 1.", source,
                    share);
  }
}

}  // namespace

RopeConfig parse_rope(const Json& document, const std::string& source) {
  RopeConfig config;
  const Json* rope = json_find(document, "rope_parameters");
  const bool is_new = rope != nullptr;
  if (!is_new) rope = json_find(document, "rope_scaling");
  if (rope != nullptr && !rope->is_object()) {
    throw bad_input("{}: '{}' should be an object or null, but it is {}", source,
                    is_new ? "rope_parameters" : "rope_scaling", rope->type_name());
  }
  if (is_new && json_find(*rope, "rope_theta") != nullptr) {
    config.theta = positive(*rope, "rope_theta", source);
  } else if (json_find(document, "rope_theta") != nullptr) {
    config.theta = positive(document, "rope_theta", source);
  }
  refuse_partial(document, source);
  if (rope == nullptr) return config;

  refuse_partial(*rope, source);
  const std::string type = rope_type(*rope, source);
  if (type == "llama3") {
    config.llama3 = parse_llama3(*rope, source);
  } else if (type != "default") {
    throw bad_input("{}: rope type '{}' is not supported. Supported are default and llama3.",
                    source, type);
  }
  return config;
}

}  // namespace loadline
