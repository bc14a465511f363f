#include "checkpoint/config.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/family.h"
#include "checkpoint/rope_config.h"

namespace loadline {
namespace {

// Generous for any real model, and small enough that layers x hidden x intermediate x 64 bytes, and
// positions x vocabulary x 8, stay below 2^63.
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLayers = std::int64_t{1} << 12;
constexpr std::int64_t kMaxHeads = std::int64_t{1} << 14;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

std::int64_t count(const Json& document, std::string_view key, std::int64_t limit,
                   const std::string& source) {
  const std::int64_t value = json_int(document, key, source);
  if (value < 1 || value > limit) {
    throw bad_input("{}: '{}' is {}, but it must be from 1 to {}", source, key, value, limit);
  }
  return value;
}

std::int64_t count_or(const Json& document, std::string_view key, std::int64_t limit,
                      std::int64_t fallback, const std::string& source) {
  return json_find(document, key) == nullptr ? fallback : count(document, key, limit, source);
}

// Quantized weights have other tensors, under other names: better refused here than missed there.
void refuse_quantized(const Json& document, const std::string& source) {
  for (const char* key : {"quantization_config", "quantization"}) {
    const Json* found = json_find(document, key);
    if (found == nullptr) continue;
    const Json* method = json_find(*found, "quant_method");
    throw bad_input(
        "{}: the weights are quantized already ({}: {}). Take the model's bf16 or f16 version; "
        "--quantize nf4 quantizes that one on loading.",
        source, key, method != nullptr && method->is_string() ? method->get<std::string>() : "yes");
  }
}

// Gemma's own key wins over hidden_act, which its first files set to another function than they
// meant (transformers, Gemma2Config).
void read_activation(const Json& document, const Family& family, const std::string& source,
                     ModelConfig& config) {
  const char* key = family.gemma ? "hidden_activation" : "hidden_act";
  config.activation = family.gemma ? GateActivation::kGeluTanh : GateActivation::kSilu;
  if (json_find(document, key) == nullptr) return;
  const std::string name = json_string(document, key, source);
  if (family.gemma ? name == "gelu_pytorch_tanh" : name == "silu" || name == "swish") return;
  throw bad_input("{}: {} '{}' is not supported. Supported for {} is {}.", source, key, name,
                  family.model_type, family.gemma ? "gelu_pytorch_tanh" : "silu");
}

void read_shape(const Json& document, const Family& family, const std::string& source,
                ModelConfig& config) {
  config.vocab_size = count(document, "vocab_size", kMaxVocab, source);
  config.hidden_size = count(document, "hidden_size", kMaxWidth, source);
  config.intermediate_size = count(document, "intermediate_size", kMaxWidth, source);
  config.layers = count(document, "num_hidden_layers", kMaxLayers, source);
  config.heads = count(document, "num_attention_heads", kMaxHeads, source);
  // transformers tells an absent key (its default) from null (as many as heads).
  const bool as_heads = family.kv_heads == 0 || document.contains("num_key_value_heads");
  config.kv_heads = count_or(document, "num_key_value_heads", kMaxHeads,
                             as_heads ? config.heads : family.kv_heads, source);
  config.max_positions =
      count_or(document, "max_position_embeddings", kMaxPositions, family.max_positions, source);
  if (config.heads % config.kv_heads != 0) {
    throw bad_input("{}: num_attention_heads {} is not a multiple of num_key_value_heads {}",
                    source, config.heads, config.kv_heads);
  }
}

void read_head_dim(const Json& document, const Family& family, const std::string& source,
                   ModelConfig& config) {
  if (json_find(document, "head_dim") != nullptr) {
    config.head_dim = count(document, "head_dim", kMaxWidth, source);
  } else if (family.head_dim != 0) {
    config.head_dim = family.head_dim;
  } else if (config.hidden_size % config.heads == 0) {
    config.head_dim = config.hidden_size / config.heads;
  } else {
    throw bad_input(
        "{}: hidden_size {} is not a multiple of num_attention_heads {}, and there is "
        "no head_dim",
        source, config.hidden_size, config.heads);
  }
  if (config.head_dim % 2 != 0) {
    throw bad_input("{}: head_dim is {}, but rotary embedding needs an even number", source,
                    config.head_dim);
  }
  if (config.q_width() > kMaxWidth) {
    throw bad_input("{}: num_attention_heads {} x head_dim {} is above {}", source, config.heads,
                    config.head_dim, kMaxWidth);
  }
}

void read_biases(const Json& document, const Family& family, const std::string& source,
                 ModelConfig& config) {
  if (family.biases == Biases::kQkv) config.qkv_bias = true;
  if (family.biases == Biases::kAttention || family.biases == Biases::kAll) {
    config.qkv_bias = config.o_bias = json_bool_or(document, "attention_bias", false, source);
  }
  if (family.biases == Biases::kAll) {
    config.mlp_bias = json_bool_or(document, "mlp_bias", false, source);
  }
}

// Of "layer_types": true where a layer attends through the window.
std::vector<bool> read_layer_types(const Json& types, const std::string& source,
                                   std::int64_t layers) {
  if (!types.is_array() || std::ssize(types) != layers) {
    throw bad_input("{}: 'layer_types' should be a list of {} names", source, layers);
  }
  std::vector<bool> windowed;
  for (const Json& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      throw bad_input(
          "{}: layer type {:.60} is not supported. Supported are full_attention and "
          "sliding_attention.",
          source, type.dump());
    }
    windowed.push_back(type == "sliding_attention");
  }
  return windowed;
}

std::vector<bool> windowed_layers(const Json& document, const Family& family,
                                  const std::string& source, const ModelConfig& config) {
  const std::int64_t layers = config.layers;
  if (const Json* types = json_find(document, "layer_types")) {
    return read_layer_types(*types, source, layers);
  }
  std::vector<bool> windowed(static_cast<std::size_t>(layers), true);
  std::int64_t period = 0;  // the layers at its multiples, counted from 1, are full
  if (family.windows == Windows::kAlternate) period = 2;
  if (family.windows == Windows::kFiveOfSix) {
    period = count_or(document, "sliding_window_pattern", kMaxLayers, 6, source);
  }
  for (std::int64_t full = period; period > 0 && full <= layers; full += period) {
    windowed[static_cast<std::size_t>(full - 1)] = false;
  }
  if (family.windows == Windows::kUpper) {
    const std::int64_t from = json_find(document, "max_window_layers") == nullptr
                                  ? 28
                                  : json_int(document, "max_window_layers", source);
    std::fill_n(windowed.begin(), std::clamp<std::int64_t>(from, 0, layers), false);
  }
  for (std::int64_t layer = 0; family.windows == Windows::kNoRope && layer < layers; ++layer) {
    windowed[static_cast<std::size_t>(layer)] = !config.has_rope(layer);
  }
  return windowed;
}

// The window's size, or 0.
std::int64_t window_size(const Json& document, const Family& family, const std::string& source) {
  const bool has_default = family.windows != Windows::kUpper;
  const bool has_switch = !has_default || family.windows == Windows::kNoRope;
  if (family.windows == Windows::kNone) return 0;
  if (has_switch && !json_bool_or(document, "use_sliding_window", false, source)) return 0;
  // transformers tells an absent key (its default) from null (no window); json_find does not.
  if (!document.contains("sliding_window")) {
    if (has_default) return family.sliding_window;
    throw bad_input("{}: use_sliding_window is true, 'sliding_window' missing", source);
  }
  if (json_find(document, "sliding_window") == nullptr) return 0;
  return count(document, "sliding_window", kMaxPositions, source);
}

void read_window(const Json& document, const Family& family, const std::string& source,
                 ModelConfig& config) {
  std::int64_t window = window_size(document, family, source);
  // Where no window tells the layers apart, their ropes still do.
  if (window == 0 && family.local_rope) window = config.max_positions;
  if (window == 0) return;
  std::vector<bool> windowed = windowed_layers(document, family, source, config);
  const auto layers = std::count(windowed.begin(), windowed.end(), true);
  if (layers == 0 || (window >= config.max_positions && !family.local_rope)) return;
  config.sliding_window = window;
  if (layers < config.layers) config.windowed = std::move(windowed);
}

double positive_or(const Json& document, std::string_view key, double fallback,
                   const std::string& source) {
  if (json_find(document, key) == nullptr) return fallback;
  const double value = json_number(document, key, source);
  if (!(value > 0 && value < 1e9)) {
    throw bad_input("{}: '{}' is {}, but it must be above 0 and below 1e9", source, key, value);
  }
  return value;
}

// A cap may be null, which is none and not the family's default.
double softcap(const Json& document, std::string_view key, double fallback,
               const std::string& source) {
  return positive_or(document, key, document.contains(key) ? 0 : fallback, source);
}

void read_gemma(const Json& document, const Family& family, const std::string& source,
                ModelConfig& config) {
  config.output_norms = config.norm_offset = config.rounds_embedding_scale = true;
  if (json_bool_or(document, "use_bidirectional_attention", false, source)) {
    throw bad_input("{}: use_bidirectional_attention makes it an encoder: nothing is generated",
                    source);
  }
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.attention_scale =
      1 / std::sqrt(positive_or(document, "query_pre_attn_scalar", 256, source));
  config.attention_softcap =
      softcap(document, "attn_logit_softcapping", family.attention_softcap, source);
  config.logit_softcap = softcap(document, "final_logit_softcapping", family.logit_softcap, source);
}

// Far from what overflows a float, alone or divided by another's square.
double multiplier(const Json& document, std::string_view key, const std::string& source) {
  constexpr double kMost = 1e4;
  if (json_find(document, key) == nullptr) return 1;
  const double value = json_number(document, key, source);
  if (!(value >= 1 / kMost && value <= kMost)) {
    throw bad_input("{}: '{}' is {}, but it must be from {} to {}", source, key, value, 1 / kMost,
                    kMost);
  }
  return value;
}

// The residual stream is kept divided by residual_multiplier m, so that layers add to it as they
// are: x / m normed with eps / m^2 is x normed with eps.
void read_multipliers(const Json& document, const std::string& source, ModelConfig& config) {
  const double residual = multiplier(document, "residual_multiplier", source);
  config.rms_norm_eps /= residual * residual;
  config.embedding_scale = multiplier(document, "embedding_multiplier", source) / residual;
  config.attention_scale = multiplier(document, "attention_multiplier", source);
  config.logit_scale = 1 / multiplier(document, "logits_scaling", source);
}

void read_traits(const Json& document, const Family& family, const std::string& source,
                 ModelConfig& config) {
  config.fused_projections = family.fused_projections;
  config.qk_norm = family.qk_norm;
  config.input_norms = !family.output_norms_alone;
  config.output_norms = family.output_norms_alone;
  if (family.gemma) read_gemma(document, family, source, config);
  if (family.multipliers) read_multipliers(document, source, config);
}

// "no_rope_layers" has a 1, despite its name, where a layer has rope.
std::vector<bool> read_rope_layers(const Json& flags, const std::string& source,
                                   std::int64_t layers) {
  if (!flags.is_array() || std::ssize(flags) < layers) {
    throw bad_input("{}: 'no_rope_layers' should be a list of {} numbers, a 0 or 1 for each layer",
                    source, layers);
  }
  std::vector<bool> turned;
  for (const Json& flag : flags) {
    if (std::ssize(turned) == layers) break;
    if (flag != 0 && flag != 1) {
      throw bad_input("{}: 'no_rope_layers' has {:.60}, but it must be 0 or 1", source,
                      flag.dump());
    }
    turned.push_back(flag == 1);
  }
  return turned;
}

std::vector<bool> layers_with_rope(const Json& document, const std::string& source,
                                   std::int64_t layers) {
  if (const Json* flags = json_find(document, "no_rope_layers")) {
    return read_rope_layers(*flags, source, layers);
  }
  std::vector<bool> turned(static_cast<std::size_t>(layers), true);
  const std::int64_t interval =
      count_or(document, "no_rope_layer_interval", kMaxPositions, 4, source);
  for (std::int64_t layer = interval; layer <= layers; layer += interval) {
    turned[static_cast<std::size_t>(layer - 1)] = false;
  }
  return turned;
}

void read_rope(const Json& document, const Family& family, const std::string& source,
               ModelConfig& config) {
  const RopeConfig rope = parse_rope(document, family, config, source);
  config.rope_theta = rope.theta;
  config.rope_local_theta = rope.local_theta;
  config.rope_local_factor = rope.local_factor;
  config.rope_factor = rope.factor;
  config.rope_dim = rope.dim;
  config.rope_llama3 = rope.llama3;
  config.rope_long = rope.longrope;
  if (family.rope_by_layer)
    config.turned_layers = layers_with_rope(document, source, config.layers);
}

std::int64_t token_id(const Json& value, std::string_view key, const std::string& source,
                      const ModelConfig& config) {
  const bool above = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
  const std::int64_t id = value.is_number_integer() && !above ? value.get<std::int64_t>() : -1;
  if (id < 0 || id >= config.vocab_size) {
    throw bad_input("{}: '{}' is {:.60}, but it must be a token id from 0 to {}", source, key,
                    value.dump(), config.vocab_size - 1);
  }
  return id;
}

void read_token_ids(const Json& document, const Family& family, const std::string& source,
                    ModelConfig& config) {
  if (!document.contains("bos_token_id")) {
    config.bos_id = family.bos_id < config.vocab_size ? family.bos_id : -1;
  } else if (const Json* bos = json_find(document, "bos_token_id")) {
    config.bos_id = token_id(*bos, "bos_token_id", source, config);
  }
  if (!document.contains("eos_token_id")) {
    if (family.eos_id >= 0 && family.eos_id < config.vocab_size) config.eos_ids = {family.eos_id};
  } else if (const Json* eos = json_find(document, "eos_token_id")) {
    if (!eos->is_array()) {
      config.eos_ids = {token_id(*eos, "eos_token_id", source, config)};
      return;
    }
    for (const Json& id : *eos)
      config.eos_ids.push_back(token_id(id, "eos_token_id", source, config));
  }
}

}  // namespace

ModelConfig parse_config(const Json& document, const std::string& source) {
  if (!document.is_object()) {
    throw bad_input("{}: should be a JSON object, but it is {}", source, document.type_name());
  }
  const Family& family = family_of(document, source);
  refuse_quantized(document, source);

  ModelConfig config;
  config.model_type = family.model_type;
  read_activation(document, family, source, config);
  read_shape(document, family, source, config);
  read_head_dim(document, family, source, config);
  read_biases(document, family, source, config);
  config.rms_norm_eps = family.rms_norm_eps;
  if (json_find(document, "rms_norm_eps") != nullptr) {
    config.rms_norm_eps = json_number(document, "rms_norm_eps", source);
  }
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps < 1)) {
    throw bad_input("{}: 'rms_norm_eps' is {}, but it must be above 0 and below 1", source,
                    config.rms_norm_eps);
  }
  read_rope(document, family, source, config);
  read_window(document, family, source, config);
  read_traits(document, family, source, config);
  config.tied_embeddings =
      json_bool_or(document, "tie_word_embeddings", family.tied_embeddings, source);
  read_token_ids(document, family, source, config);
  return config;
}

ModelConfig read_config(const std::filesystem::path& model_folder) {
  const std::filesystem::path file = model_folder / "config.json";
  std::error_code ignored;
  if (!std::filesystem::is_directory(model_folder, ignored)) {
    throw bad_input(
        "{}: there is no such folder. --model takes a folder with config.json, "
        "model.safetensors and tokenizer.json.",
        model_folder.string());
  }
  if (!std::filesystem::exists(file, ignored)) {
    throw bad_input("{}: has no config.json, so it is not a Hugging Face model folder",
                    model_folder.string());
  }
  return parse_config(read_json(file), file.string());
}

}  // namespace loadline
