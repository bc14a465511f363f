#include "checkpoint/rope_config.h"

#include <cmath>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

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

std::vector<double> factors(const Json& rope, std::string_view key, std::int64_t count,
                            const std::string& source) {
  const Json* list = json_find(rope, key);
  if (list == nullptr || !list->is_array() || std::ssize(*list) != count) {
    throw bad_input("{}: rope's '{}' should be a list of {} numbers", source, key, count);
  }
  std::vector<double> values;
  for (const Json& item : *list) {
    const double value = item.is_number() ? item.get<double>() : 0;
    if (!(value > 0 && value < 1e15)) {
      throw bad_input("{}: rope's '{}' has {:.60}, but it must be above 0 and below 1e15", source,
                      key, item.dump());
    }
    values.push_back(value);
  }
  return values;
}

// The original context stands beside rope_scaling in Phi-3's files, in rope_parameters in new ones.
// What cos and sin are multiplied by follows from how far it was stretched.
LongRope parse_longrope(const Json& document, const Json& rope, const RopeConfig& config,
                        std::int64_t max_positions, const std::string& source) {
  constexpr std::string_view kOriginal = "original_max_position_embeddings";
  LongRope parsed;
  parsed.short_factors = factors(rope, "short_factor", config.dim / 2, source);
  parsed.long_factors = factors(rope, "long_factor", config.dim / 2, source);
  const Json& holder = json_find(rope, kOriginal) != nullptr ? rope : document;
  parsed.original_max_positions = json_int(holder, kOriginal, source);
  if (parsed.original_max_positions < 2 || parsed.original_max_positions > max_positions) {
    throw bad_input("{}: '{}' is {}, but it must be from 2 to max_position_embeddings {}", source,
                    kOriginal, parsed.original_max_positions, max_positions);
  }
  const auto original = static_cast<double>(parsed.original_max_positions);
  const double stretch = static_cast<double>(max_positions) / original;
  if (stretch > 1) parsed.magnitude = std::sqrt(1 + std::log(stretch) / std::log(original));
  if (json_find(rope, "attention_factor") != nullptr) {
    parsed.magnitude = positive(rope, "attention_factor", source);
  }
  return parsed;
}

// The elements of a head that are turned: all, or the share that Phi-3's files may name.
std::int64_t turned(const Json& document, const Json* rope, const Family& family,
                    std::int64_t head_dim, const std::string& source) {
  const bool in_rope = rope != nullptr && json_find(*rope, "partial_rotary_factor") != nullptr;
  const Json& holder = in_rope ? *rope : document;
  if (json_find(holder, "partial_rotary_factor") == nullptr) return head_dim;
  const double share = json_number(holder, "partial_rotary_factor", source);
  if (share == 1.0) return head_dim;
  const auto dim =
      share > 0 && share < 1 ? static_cast<std::int64_t>(static_cast<double>(head_dim) * share) : 0;
  if (!family.partial_rope || dim < 2 || dim % 2 != 0) {
    throw bad_input("{}: partial_rotary_factor {} of head_dim {} is not supported for {}", source,
                    share, head_dim, family.model_type);
  }
  return dim;
}

void parse_scaling(const Json& document, const Json& rope, const Family& family,
                   std::int64_t max_positions, const std::string& source, RopeConfig& config) {
  const std::string type = rope_type(rope, source);
  if (type == "longrope" && family.local_rope) {
    throw bad_input("{}: rope type 'longrope' is not supported for {}", source, family.model_type);
  }
  if (type == "llama3") {
    config.llama3 = parse_llama3(rope, source);
  } else if (type == "longrope") {
    config.longrope = parse_longrope(document, rope, config, max_positions, source);
  } else if (type == "linear") {
    config.factor = positive(rope, "factor", source);
  } else if (type != "default") {
    throw bad_input(
        "{}: rope type '{}' is not supported. Supported are default, linear, llama3 and longrope.",
        source, type);
  }
}

constexpr std::string_view kOfWindowed = "sliding_attention";
constexpr std::string_view kOfFull = "full_attention";

// The rope of one type of layers; nullptr where there is none.
const Json* rope_of(const Json* ropes, std::string_view layers, const std::string& source) {
  const Json* rope = ropes == nullptr ? nullptr : json_find(*ropes, layers);
  if (rope != nullptr && !rope->is_object()) {
    throw bad_input("{}: rope's '{}' should be an object, but it is {}", source, layers,
                    rope->type_name());
  }
  return rope;
}

void parse_local(const Json& document, const Json* rope, const std::string& source,
                 RopeConfig& config) {
  config.local_theta = 10000;
  if (rope != nullptr && json_find(*rope, "rope_theta") != nullptr) {
    config.local_theta = positive(*rope, "rope_theta", source);
  } else if (json_find(document, "rope_local_base_freq") != nullptr) {
    config.local_theta = positive(document, "rope_local_base_freq", source);
  }
  if (rope == nullptr) return;
  const std::string type = rope_type(*rope, source);
  if (type == "linear") {
    config.local_factor = positive(*rope, "factor", source);
  } else if (type != "default") {
    throw bad_input(
        "{}: rope type '{}' is not supported for {}. Supported there are default and linear.",
        source, type, kOfWindowed);
  }
}

void refuse_ropes_by_layer(const Json* rope, const Family& family, const std::string& source) {
  for (const std::string_view layers : {kOfWindowed, kOfFull}) {
    if (rope_of(rope, layers, source) == nullptr) continue;
    throw bad_input("{}: a rope for {} alone is not supported for {}", source, layers,
                    family.model_type);
  }
}

}  // namespace

RopeConfig parse_rope(const Json& document, const Family& family, const ModelConfig& model,
                      const std::string& source) {
  RopeConfig config;
  config.theta = family.rope_theta;
  const Json* rope = json_find(document, "rope_parameters");
  const bool is_new = rope != nullptr;
  if (!is_new) rope = json_find(document, "rope_scaling");
  if (rope != nullptr && !rope->is_object()) {
    throw bad_input("{}: '{}' should be an object or null, but it is {}", source,
                    is_new ? "rope_parameters" : "rope_scaling", rope->type_name());
  }
  if (family.local_rope) {
    parse_local(document, rope_of(rope, kOfWindowed, source), source, config);
    if (const Json* of_full = rope_of(rope, kOfFull, source)) rope = of_full;
  } else {
    refuse_ropes_by_layer(rope, family, source);
  }
  if (is_new && json_find(*rope, "rope_theta") != nullptr) {
    config.theta = positive(*rope, "rope_theta", source);
  } else if (json_find(document, "rope_theta") != nullptr) {
    config.theta = positive(document, "rope_theta", source);
  }
  config.dim = turned(document, rope, family, model.head_dim, source);
  if (rope != nullptr) parse_scaling(document, *rope, family, model.max_positions, source, config);
  return config;
}

}  // namespace loadline
