#include "checkpoint/peft.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

bool is_set(const Json& document, const char* key) {
  const Json* value = json_find(document, key);
  if (value == nullptr || *value == false) return false;
  return !(value->is_structured() || value->is_string()) || !value->empty();
}

// What later versions of PEFT call use_SOMETHING changes the arithmetic.
void refuse_unknown_uses(const Json& document, const std::string& source) {
  for (const auto& item : document.items()) {
    if (!item.key().starts_with("use_") || item.key() == "use_rslora") continue;
    if (is_set(document, item.key().c_str())) {
      throw bad_input("{}: '{}' is {:.80}, which is not supported: plain LoRA only", source,
                      item.key(), item.value().dump());
    }
  }
}

// The layers' list is "layers" in all families that are supported.
void require_layers_pattern(const Json& document, const std::string& source) {
  const Json* pattern = json_find(document, "layers_pattern");
  if (pattern == nullptr || pattern->empty() || *pattern == "layers") return;
  const bool is_among = pattern->is_array() &&
                        std::find(pattern->begin(), pattern->end(), "layers") != pattern->end();
  if (*pattern != Json("") && !is_among) {
    throw bad_input("{}: 'layers_pattern' is {:.80}, but only \"layers\" is supported", source,
                    pattern->dump());
  }
}

// Settings under which plain LoRA arithmetic would compute something else.
void refuse_unsupported(const Json& document, const std::string& source) {
  constexpr std::array kRefused{"use_dora",    "modules_to_save",         "fan_in_fan_out",
                                "lora_bias",   "layer_replication",       "target_parameters",
                                "use_qalora",  "alora_invocation_tokens", "trainable_token_indices",
                                "arrow_config"};
  for (const char* key : kRefused) {
    if (is_set(document, key)) {
      throw bad_input("{}: '{}' is {:.80}, which is not supported: plain LoRA only", source, key,
                      document[key].dump());
    }
  }
  refuse_unknown_uses(document, source);
  if (json_find(document, "bias") != nullptr && document["bias"] != "none") {
    throw bad_input("{}: 'bias' is {:.80}, but only \"none\" is supported", source,
                    document["bias"].dump());
  }
  // These train against changed base weights, which the adapter does not contain.
  const Json* init = json_find(document, "init_lora_weights");
  if (init == nullptr || !init->is_string()) return;
  const auto method = init->get<std::string>();
  for (const char* refused : {"pissa", "olora", "corda", "loftq", "lora_ga"}) {
    if (method.starts_with(refused)) {
      throw bad_input(
          "{}: init_lora_weights '{}' changes the base weights. Convert the adapter "
          "with PEFT (path_initial_model_for_weight_conversion).",
          source, method);
    }
  }
}

Projection parse_target(const std::string& name, const std::string& source) {
  const std::optional<Projection> target = projection_named(name.substr(name.rfind('.') + 1));
  if (!target.has_value()) {
    throw bad_input(
        "{}: target module '{}' is not supported. Supported are q_proj, k_proj, v_proj, "
        "o_proj, gate_proj, up_proj, down_proj, qkv_proj and gate_up_proj.",
        source, name);
  }
  return *target;
}

// "model.layers.3.self_attn.q_proj" is one layer's alone, "self_attn.q_proj" is every layer's.
bool names_a_layer(const std::string& target) {
  for (std::size_t at = target.find('.'); at != std::string::npos; at = target.find('.', at + 1)) {
    if (at > 0 && std::isdigit(static_cast<unsigned char>(target[at - 1])) != 0) return true;
  }
  return false;
}

// What a pattern or a layer's own name takes stands in the tensors.
bool tensors_tell_targets(const Json& document) {
  const Json* modules = json_find(document, "target_modules");
  if (modules == nullptr) return false;
  if (modules->is_string()) return !projection_named(modules->get<std::string>()).has_value();
  return std::any_of(modules->begin(), modules->end(), [](const Json& name) {
    return name.is_string() && names_a_layer(name.get<std::string>());
  });
}

// A list of names; a text is a regular expression of PEFT's unless it is one name.
std::optional<std::vector<Projection>> parse_target_modules(const Json& document,
                                                            const std::string& source) {
  const Json* modules = json_find(document, "target_modules");
  if (modules == nullptr) return std::nullopt;
  std::vector<Projection> targets;
  if (modules->is_string()) {
    const std::optional<Projection> single = projection_named(modules->get<std::string>());
    if (!single.has_value()) return std::nullopt;
    targets.push_back(*single);
    return targets;
  }
  if (!modules->is_array()) {
    throw bad_input("{}: 'target_modules' should be a list of names, but it is {}", source,
                    modules->type_name());
  }
  for (const Json& name : *modules) {
    if (!name.is_string()) {
      throw bad_input("{}: target module {:.60} is not a name", source, name.dump());
    }
    targets.push_back(parse_target(name.get<std::string>(), source));
  }
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  return targets;
}

std::optional<std::vector<std::int64_t>> parse_layers(const Json& document,
                                                      const std::string& source) {
  const Json* value = json_find(document, "layers_to_transform");
  if (value == nullptr || *value == Json::array()) return std::nullopt;  // all
  const Json list = value->is_array() ? *value : Json::array({*value});
  std::vector<std::int64_t> layers;
  for (const Json& layer : list) {
    const bool fits = layer.is_number_unsigned() && layer.get<std::uint64_t>() <= kMaxLayer;
    if (!fits) {
      throw bad_input("{}: layers_to_transform has {:.60}, which is not a layer", source,
                      layer.dump());
    }
    layers.push_back(layer.get<std::int64_t>());
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

// Of rank_pattern or alpha_pattern: what is not a plain module name is a regular expression.
bool is_plain_name(std::string_view key) {
  if (key.starts_with('^')) key.remove_prefix(1);
  return !key.empty() && key.find_first_not_of(
                             "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == std::string_view::npos;
}

const Json* pattern_object(const Json& document, const char* key, const std::string& source) {
  const Json* pattern = json_find(document, key);
  if (pattern != nullptr && !pattern->is_object()) {
    throw bad_input("{}: '{}' should be an object of module names, but it is {}", source, key,
                    pattern->type_name());
  }
  return pattern;
}

std::int64_t checked_rank(std::int64_t rank, std::string_view key, const std::string& source) {
  if (rank >= 1 && rank <= kMaxRank) return rank;
  throw bad_input("{}: '{}' is {}, but it must be from 1 to {}", source, key, rank, kMaxRank);
}

double checked_alpha(double alpha, std::string_view key, const std::string& source) {
  if (alpha >= kLeastAlpha && alpha <= kMostAlpha) return alpha;
  throw bad_input("{}: '{}' is {}, but it must be from {} to {}", source, key, alpha, kLeastAlpha,
                  kMostAlpha);
}

void parse_rank_pattern(const Json& document, const std::string& source, AdapterClaims& claims) {
  const Json* pattern = pattern_object(document, "rank_pattern", source);
  if (pattern == nullptr) return;
  for (const auto& item : pattern->items()) {
    claims.rank_pattern.emplace_back(
        item.key(), checked_rank(json_int(*pattern, item.key(), source + ": rank_pattern"),
                                 "rank_pattern", source));
    // What its expressions mean stands in the tensors' shapes.
    if (!is_plain_name(item.key())) claims.ranks_from_tensors = true;
  }
}

void parse_alpha_pattern(const Json& document, const std::string& source, AdapterClaims& claims) {
  const Json* pattern = pattern_object(document, "alpha_pattern", source);
  if (pattern == nullptr) return;
  for (const auto& item : pattern->items()) {
    if (!is_plain_name(item.key())) {
      throw bad_input(
          "{}: alpha_pattern has the expression '{:.60}'. Only plain module names are supported "
          "there, like q_proj or model.layers.3.mlp.up_proj.",
          source, item.key());
    }
    claims.alpha_pattern.emplace_back(
        item.key(), checked_alpha(json_number(*pattern, item.key(), source + ": alpha_pattern"),
                                  "alpha_pattern", source));
  }
}

}  // namespace

AdapterClaims parse_peft_config(const Json& document, const std::string& source) {
  const std::string type = json_string(document, "peft_type", source);
  if (type != "LORA") {
    throw bad_input("{}: peft_type '{}' is not supported. Supported is LORA.", source, type);
  }
  refuse_unsupported(document, source);
  require_layers_pattern(document, source);
  AdapterClaims claims;
  claims.rank = checked_rank(json_int(document, "r", source), "r", source);
  claims.alpha = checked_alpha(json_number(document, "lora_alpha", source), "lora_alpha", source);
  claims.rank_stabilized = is_set(document, "use_rslora");
  parse_rank_pattern(document, source, claims);
  parse_alpha_pattern(document, source, claims);
  if (json_find(document, "base_model_name_or_path") != nullptr) {
    claims.base_model = json_string(document, "base_model_name_or_path", source);
  }
  if (json_find(document, "revision") != nullptr) {
    claims.base_revision = json_string(document, "revision", source);
  }
  claims.targets = parse_target_modules(document, source);
  claims.targets_exact = !is_set(document, "exclude_modules") && !tensors_tell_targets(document);
  claims.layers = parse_layers(document, source);
  return claims;
}

std::optional<PairHalf> parse_peft_name(std::string_view name) {
  // PEFT wraps twice ("base_model.model."); tools that unwrap leave either or both off.
  skip(name, "base_model.");
  std::optional<PairHalf> half = take_place(name);
  if (!half) return std::nullopt;
  half->is_a = skip(name, ".lora_A");
  if (!half->is_a && !skip(name, ".lora_B")) return std::nullopt;
  skip(name, ".default");  // the adapter's name, which early versions of PEFT wrote
  return name == ".weight" ? half : std::nullopt;
}

std::string peft_name(const PairHalf& half) {
  return fmt::format("base_model.model.model.layers.{}.{}.lora_{}.weight", half.layer,
                     module_path(half.projection), half.is_a ? 'A' : 'B');
}

Json peft_config(const Adapter& adapter, const std::vector<std::int64_t>& layers) {
  Json targets = Json::array();
  for (const Projection target : adapter.lora.targets) targets.push_back(name_of(target));
  // PEFT types lora_alpha as an integer, although a fraction works.
  const double alpha = adapter.lora.alpha;
  const bool whole = alpha == std::floor(alpha) && alpha < 1e9;
  const std::string& revision = adapter.base_revision;
  return Json{{"peft_type", "LORA"},
              {"task_type", "CAUSAL_LM"},
              {"base_model_name_or_path", adapter.base_model},
              {"revision", revision.empty() ? Json(nullptr) : Json(revision)},
              {"r", adapter.lora.rank},
              {"lora_alpha", whole ? Json(static_cast<std::int64_t>(alpha)) : Json(alpha)},
              {"lora_dropout", adapter.lora.dropout},
              {"target_modules", targets},
              {"layers_to_transform", layers},
              {"layers_pattern", nullptr},
              {"bias", "none"},
              {"fan_in_fan_out", false},
              {"inference_mode", true},
              {"init_lora_weights", true},
              {"modules_to_save", nullptr},
              {"rank_pattern", Json::object()},
              {"alpha_pattern", Json::object()},
              {"use_dora", false},
              {"use_rslora", false}};
}

}  // namespace loadline
