#include "checkpoint/config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "checkpoint/rope_config.h"

namespace loadline {
namespace {

// What transformers' configuration classes assume when config.json leaves a key out.
struct Family {
  std::string_view model_type;
  std::int64_t kv_heads;  // 0: as many as heads
  std::int64_t max_positions;
  std::int64_t bos_id;
  std::int64_t eos_id;
};
constexpr std::array kFamilies{
    Family{"llama", 0, 2048, 1, 2},
    Family{"mistral", 8, 131072, 1, 2},
    Family{"qwen2", 32, 32768, -1, -1},
};

// Generous for any real model, and small enough that layers x hidden x intermediate x 64 bytes, and
// positions x vocabulary x 8, stay below 2^63.
constexpr std::int64_t kMaxVocab = std::int64_t{1} << 24;
constexpr std::int64_t kMaxWidth = std::int64_t{1} << 20;
constexpr std::int64_t kMaxLayers = std::int64_t{1} << 12;
constexpr std::int64_t kMaxHeads = std::int64_t{1} << 14;
constexpr std::int64_t kMaxPositions = std::int64_t{1} << 31;

const Family& family_of(const Json& document, const std::string& source) {
  const std::string type = json_string(document, "model_type", source);
  for (const Family& family : kFamilies) {
    if (family.model_type == type) return family;
  }
  throw bad_input("{}: model_type '{}' is not supported. Supported are llama, mistral and qwen2.",
                  source, type);
}

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

bool flag_or(const Json& document, std::string_view key, bool fallback, const std::string& source) {
  return json_find(document, key) == nullptr ? fallback : json_bool(document, key, source);
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

void refuse_other_activations(const Json& document, const std::string& source) {
  if (json_find(document, "hidden_act") == nullptr) return;
  const std::string activation = json_string(document, "hidden_act", source);
  if (activation != "silu" && activation != "swish") {
    throw bad_input("{}: hidden_act '{}' is not supported. Supported is silu.", source, activation);
  }
}

void read_shape(const Json& document, const Family& family, const std::string& source,
                ModelConfig& config) {
  config.vocab_size = count(document, "vocab_size", kMaxVocab, source);
  config.hidden_size = count(document, "hidden_size", kMaxWidth, source);
  config.intermediate_size = count(document, "intermediate_size", kMaxWidth, source);
  config.layers = count(document, "num_hidden_layers", kMaxLayers, source);
  config.heads = count(document, "num_attention_heads", kMaxHeads, source);
  config.kv_heads = count_or(document, "num_key_value_heads", kMaxHeads,
                             family.kv_heads == 0 ? config.heads : family.kv_heads, source);
  config.max_positions =
      count_or(document, "max_position_embeddings", kMaxPositions, family.max_positions, source);
  if (config.heads % config.kv_heads != 0) {
    throw bad_input("{}: num_attention_heads {} is not a multiple of num_key_value_heads {}",
                    source, config.heads, config.kv_heads);
  }
}

void read_head_dim(const Json& document, const std::string& source, ModelConfig& config) {
  if (json_find(document, "head_dim") != nullptr) {
    config.head_dim = count(document, "head_dim", kMaxWidth, source);
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

void read_biases(const Json& document, const std::string& source, ModelConfig& config) {
  if (config.model_type == "qwen2") {
    config.qkv_bias = true;  // fixed in that architecture; config.json does not say it
    return;
  }
  if (config.model_type != "llama") return;
  config.qkv_bias = config.o_bias = flag_or(document, "attention_bias", false, source);
  config.mlp_bias = flag_or(document, "mlp_bias", false, source);
}

// How many layers attend through a window: of "layer_types" where it stands, else as qwen2's
// max_window_layers says (the layers from that one upwards), else all.
std::int64_t windowed_layers(const Json& document, const std::string& source,
                             const ModelConfig& config) {
  if (const Json* types = json_find(document, "layer_types")) {
    if (!types->is_array() || std::ssize(*types) != config.layers) {
      throw bad_input("{}: 'layer_types' should be a list of {} names", source, config.layers);
    }
    for (const Json& type : *types) {
      if (type != "full_attention" && type != "sliding_attention") {
        throw bad_input(
            "{}: layer type {:.60} is not supported. Supported are full_attention and "
            "sliding_attention.",
            source, type.dump());
      }
    }
    return std::count(types->begin(), types->end(), "sliding_attention");
  }
  if (config.model_type != "qwen2") return config.layers;
  const std::int64_t from = json_find(document, "max_window_layers") == nullptr
                                ? 28
                                : json_int(document, "max_window_layers", source);
  return config.layers - std::clamp<std::int64_t>(from, 0, config.layers);
}

// Mistral's first configuration says 4096; qwen2 has a value that use_sliding_window turns off.
std::int64_t sliding_window(const Json& document, const std::string& source,
                            const ModelConfig& config) {
  const bool qwen2 = config.model_type == "qwen2";
  if (config.model_type == "llama") return 0;
  if (qwen2 && !flag_or(document, "use_sliding_window", false, source)) return 0;
  // transformers tells an absent key (its default) from null (no window); json_find does not.
  if (!document.contains("sliding_window")) {
    if (qwen2) throw bad_input("{}: use_sliding_window is true, 'sliding_window' missing", source);
    return windowed_layers(document, source, config) == 0 ? 0 : 4096;
  }
  if (json_find(document, "sliding_window") == nullptr) return 0;
  const std::int64_t window = count(document, "sliding_window", kMaxPositions, source);
  const std::int64_t layers = windowed_layers(document, source, config);
  if (layers == 0 || window >= config.max_positions) return 0;
  if (layers < config.layers) {
    throw bad_input(
        "{}: {} of {} layers attend through a sliding window. Such a mixture is not "
        "supported: all layers, or none.",
        source, layers, config.layers);
  }
  return window;
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
  refuse_other_activations(document, source);

  ModelConfig config;
  config.model_type = family.model_type;
  read_shape(document, family, source, config);
  read_head_dim(document, source, config);
  read_biases(document, source, config);
  if (json_find(document, "rms_norm_eps") != nullptr) {
    config.rms_norm_eps = json_number(document, "rms_norm_eps", source);
  }
  if (!(config.rms_norm_eps > 0 && config.rms_norm_eps < 1)) {
    throw bad_input("{}: 'rms_norm_eps' is {}, but it must be above 0 and below 1", source,
                    config.rms_norm_eps);
  }
  const RopeConfig rope = parse_rope(document, source);
  config.rope_theta = rope.theta;
  config.rope_llama3 = rope.llama3;
  config.sliding_window = sliding_window(document, source, config);
  config.tied_embeddings = flag_or(document, "tie_word_embeddings", false, source);
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
