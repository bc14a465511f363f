#include "checkpoint/peft.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace loadline {
namespace {

constexpr std::int64_t kMaxRank = 1 << 16;
constexpr std::int64_t kMaxLayer = 1 << 20;

std::optional<Projection> projection_named(std::string_view name) {
  for (int i = 0; i < kProjections; ++i) {
    if (name_of(static_cast<Projection>(i)) == name) return static_cast<Projection>(i);
  }
  return std::nullopt;
}

bool is_set(const Json& document, const char* key) {
  const Json* value = json_find(document, key);
  if (value == nullptr || *value == false) return false;
  return !(value->is_structured() || value->is_string()) || !value->empty();
}

// Settings under which plain LoRA arithmetic would compute something else.
void refuse_unsupported(const Json& document, const std::string& source) {
  constexpr std::array kRefused{"use_dora",
                                "rank_pattern",
                                "alpha_pattern",
                                "modules_to_save",
                                "fan_in_fan_out",
                                "lora_bias",
                                "layer_replication",
                                "target_parameters",
                                "use_qalora",
                                "alora_invocation_tokens",
                                "trainable_token_indices"};
  for (const char* key : kRefused) {
    if (is_set(document, key)) {
      throw bad_input("{}: '{}' is {:.80}, which is not supported: plain LoRA only", source, key,
                      document[key].dump());
    }
  }
  if (json_find(document, "bias") != nullptr && document["bias"] != "none") {
    throw bad_input("{}: 'bias' is {:.80}, but only \"none\" is supported", source,
                    document["bias"].dump());
  }
  // These train against changed base weights, which the adapter does not contain.
  const Json* init = json_find(document, "init_lora_weights");
  if (init == nullptr || !init->is_string()) return;
  const auto method = init->get<std::string>();
  for (const char* refused : {"pissa", "olora", "corda", "loftq"}) {
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
        "o_proj, gate_proj, up_proj and down_proj.",
        source, name);
  }
  return *target;
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
  if (value == nullptr) return std::nullopt;
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

bool skip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

AdapterClaims parse_peft_config(const Json& document, const std::string& source) {
  const std::string type = json_string(document, "peft_type", source);
  if (type != "LORA") {
    throw bad_input("{}: peft_type '{}' is not supported. Supported is LORA.", source, type);
  }
  refuse_unsupported(document, source);
  AdapterClaims claims;
  claims.rank = json_int(document, "r", source);
  if (claims.rank < 1 || claims.rank > kMaxRank) {
    throw bad_input("{}: 'r' is {}, but it must be from 1 to {}", source, claims.rank, kMaxRank);
  }
  claims.alpha = json_number(document, "lora_alpha", source);
  if (!(claims.alpha > 0 && claims.alpha < 1e9)) {
    throw bad_input("{}: 'lora_alpha' is {}, but it must be above 0 and below 1e9", source,
                    claims.alpha);
  }
  // rslora's scale is alpha / sqrt(r).
  if (is_set(document, "use_rslora")) claims.alpha *= std::sqrt(static_cast<double>(claims.rank));
  if (json_find(document, "base_model_name_or_path") != nullptr) {
    claims.base_model = json_string(document, "base_model_name_or_path", source);
  }
  claims.targets = parse_target_modules(document, source);
  claims.layers = parse_layers(document, source);
  return claims;
}

std::optional<PairHalf> parse_peft_name(std::string_view name) {
  // PEFT wraps twice ("base_model.model."); tools that unwrap leave either or both off.
  skip(name, "base_model.");
  while (skip(name, "model.")) {
  }
  if (!skip(name, "layers.")) return std::nullopt;
  PairHalf half;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), half.layer);
  if (failure != std::errc{} || half.layer < 0 || half.layer > kMaxLayer) return std::nullopt;
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  if (!skip(name, ".")) return std::nullopt;
  for (int i = 0; i < kProjections; ++i) {
    half.projection = static_cast<Projection>(i);
    std::string_view rest = name;
    if (!skip(rest, module_path(half.projection))) continue;
    half.is_a = skip(rest, ".lora_A");
    if (!half.is_a && !skip(rest, ".lora_B")) return std::nullopt;
    skip(rest, ".default");  // the adapter's name, which early versions of PEFT wrote
    if (rest != ".weight") return std::nullopt;
    return half;
  }
  return std::nullopt;
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
  return Json{{"peft_type", "LORA"},
              {"task_type", "CAUSAL_LM"},
              {"base_model_name_or_path", adapter.base_model},
              {"r", adapter.lora.rank},
              {"lora_alpha", whole ? Json(static_cast<std::int64_t>(alpha)) : Json(alpha)},
              {"lora_dropout", 0.0},
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
