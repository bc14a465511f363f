// config.json of a Hugging Face folder as typed values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace loadline {

// rope_scaling of type "llama3" (Llama 3.1; transformers, modeling_rope_utils).
struct Llama3Rope {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_positions = 8192;
};

// A decoder-only transformer's shape. All counts are positive and their products fit 63 bits.
struct ModelConfig {
  std::string model_type;  // "llama", "mistral", "qwen2"
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;  // heads is a multiple of it (GQA)
  std::int64_t head_dim = 0;  // even
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  std::optional<Llama3Rope> rope_llama3;
  std::int64_t max_positions = 0;
  std::int64_t sliding_window = 0;  // 0: none
  bool qkv_bias = false;
  bool o_bias = false;  // attention_bias of llama puts one on o_proj, qwen2's does not
  bool mlp_bias = false;
  bool tied_embeddings = false;
  std::int64_t bos_id = -1;  // -1: none
  std::vector<std::int64_t> eos_ids;

  [[nodiscard]] std::int64_t q_width() const { return heads * head_dim; }
  [[nodiscard]] std::int64_t kv_width() const { return kv_heads * head_dim; }
};

// `source` names the document in errors. Throws Error(kBadInput) for a missing or impossible value
// and for a model_type, activation or rope type that is not supported (the message lists those that
// are).
ModelConfig parse_config(const Json& document, const std::string& source);
ModelConfig read_config(const std::filesystem::path& model_folder);

}  // namespace loadline
