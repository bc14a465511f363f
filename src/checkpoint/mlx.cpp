#include "checkpoint/mlx.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

// "self_attn.q_proj", as the keys of lora_parameters are.
Projection parse_key(const Json& key, const std::string& source) {
  if (key.is_string()) {
    const auto& name = key.get_ref<const std::string&>();
    for (int i = 0; i < kProjections; ++i) {
      if (module_path(static_cast<Projection>(i)) == name) return static_cast<Projection>(i);
    }
  }
  throw bad_input(
      "{}: lora_parameters' key {:.60} is not supported. Supported are self_attn. q_proj, k_proj, "
      "v_proj, o_proj, qkv_proj, and mlp. gate_proj, up_proj, down_proj, gate_up_proj.",
      source, key.dump());
}

std::optional<std::vector<Projection>> parse_keys(const Json& parameters,
                                                  const std::string& source) {
  const Json* keys = json_find(parameters, "keys");
  if (keys == nullptr) return std::nullopt;  // mlx-lm takes all that it can: the tensors tell
  if (!keys->is_array()) {
    throw bad_input("{}: 'keys' of lora_parameters should be a list of names, but it is {}", source,
                    keys->type_name());
  }
  std::vector<Projection> targets;
  for (const Json& key : *keys) targets.push_back(parse_key(key, source));
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  return targets;
}

// Older versions say lora_layers. 0 and below mean all.
std::optional<std::int64_t> parse_layer_count(const Json& document, const std::string& source) {
  const bool is_old = json_find(document, "num_layers") == nullptr;
  const std::int64_t count = json_int(document, is_old ? "lora_layers" : "num_layers", source);
  if (count > kMaxLayer) {
    throw bad_input("{}: 'num_layers' is {}, above {}", source, count, kMaxLayer);
  }
  return count <= 0 ? std::nullopt : std::optional(count);
}

// Until May 2024 mlx-lm multiplied by scale * alpha / rank. What came later names one of these, and
// wrote an alpha that it did not read.
bool reads_alpha(const Json& document, const Json& parameters) {
  for (const char* later : {"use_dora", "fine_tune_type", "num_layers"}) {
    if (document.contains(later)) return false;
  }
  return json_find(parameters, "alpha") != nullptr;
}

double parse_scale(const Json& document, const Json& parameters, std::int64_t rank,
                   const std::string& source) {
  double scale = json_number(parameters, "scale", source);
  const bool by_alpha = reads_alpha(document, parameters);
  const auto r = static_cast<double>(rank);
  if (by_alpha) scale *= json_number(parameters, "alpha", source) / r;
  if (!(scale * r >= kLeastAlpha && scale * r <= kMostAlpha)) {
    throw bad_input("{}: {} is {}, but with rank {} it must be from {} to {}", source,
                    by_alpha ? "'scale' x 'alpha' / 'rank'" : "'scale'", scale, rank,
                    kLeastAlpha / r, kMostAlpha / r);
  }
  return scale;
}

}  // namespace

double alpha_of_scale(double scale, std::int64_t rank) {
  const auto r = static_cast<double>(rank);
  const double product = scale * r;
  const double lower = std::nextafter(product, 0.0);
  const double upper = std::nextafter(product, 2 * product);
  for (const double exact :
       {std::round(product), std::strtod(fmt::format("{:.15g}", product).c_str(), nullptr), product,
        lower, upper}) {
    if (exact / r == scale) return exact;
  }
  return product;
}

AdapterClaims parse_mlx_config(const Json& document, const std::string& source) {
  if (json_find(document, "fine_tune_type") != nullptr) {
    const std::string type = json_string(document, "fine_tune_type", source);
    if (type != "lora") {
      throw bad_input("{}: fine_tune_type '{}' is not supported. Supported is lora.", source, type);
    }
  }
  const Json* dora = json_find(document, "use_dora");
  if (dora != nullptr && *dora != false) {
    throw bad_input("{}: 'use_dora' is {:.80}, which is not supported: plain LoRA only", source,
                    dora->dump());
  }
  const Json* parameters = json_find(document, "lora_parameters");
  if (parameters == nullptr || !parameters->is_object()) {
    throw bad_input("{}: 'lora_parameters' should be an object with rank and scale", source);
  }
  AdapterClaims claims;
  claims.rank = json_int(*parameters, "rank", source);
  if (claims.rank < 1 || claims.rank > kMaxRank) {
    throw bad_input("{}: 'rank' is {}, but it must be from 1 to {}", source, claims.rank, kMaxRank);
  }
  const double scale = parse_scale(document, *parameters, claims.rank, source);
  claims.alpha = alpha_of_scale(scale, claims.rank);
  claims.targets = parse_keys(*parameters, source);
  claims.last_layers = parse_layer_count(document, source);
  if (json_find(document, "model") != nullptr) {
    claims.base_model = json_string(document, "model", source);
  }
  if (json_find(document, "revision") != nullptr) {
    claims.base_revision = json_string(document, "revision", source);
  }
  return claims;
}

std::optional<PairHalf> parse_mlx_name(std::string_view name) {
  std::optional<PairHalf> half = take_place(name);
  if (!half) return std::nullopt;
  half->is_a = name == ".lora_a";
  return half->is_a || name == ".lora_b" ? half : std::nullopt;
}

std::string mlx_name(const PairHalf& half) {
  return fmt::format("model.layers.{}.{}.lora_{}", half.layer, module_path(half.projection),
                     half.is_a ? 'a' : 'b');
}

Json mlx_config(const Adapter& adapter) {
  Json keys = Json::array();
  for (const Projection target : adapter.lora.targets) keys.push_back(module_path(target));
  Json document{{"fine_tune_type", "lora"},
                {"model", adapter.base_model},
                {"num_layers", adapter.lora.layers},
                {"lora_parameters",
                 {{"rank", adapter.lora.rank},
                  {"scale", adapter.lora.scale()},
                  {"dropout", adapter.lora.dropout},
                  {"keys", keys}}}};
  // Nothing of mlx-lm's, which passes it over: PEFT's configuration has it again from here.
  if (!adapter.base_revision.empty()) document["revision"] = adapter.base_revision;
  return document;
}

}  // namespace loadline
