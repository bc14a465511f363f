// config.json of a Hugging Face folder as typed values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json_fwd.h"

namespace loadline {

// rope_scaling of type "llama3" (Llama 3.1; transformers, modeling_rope_utils).
struct Llama3Rope {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_positions = 8192;
};

// rope_scaling of type "longrope" (Phi-3): each frequency has a divisor, another one in rows that
// are longer than the original context (transformers, _compute_longrope_parameters).
struct LongRope {
  std::vector<double> short_factors, long_factors;  // (rope_dim / 2) each, above 0
  std::int64_t original_max_positions = 0;
  double magnitude = 1;  // what cos and sin are multiplied by
};

// RMSNorm of q and k, before rope: of each head alone, or of all heads as one row.
enum class QkNorm : std::uint8_t { kNone, kHeads, kWhole };

enum class GateActivation : std::uint8_t { kSilu, kGeluTanh };

// A decoder-only transformer: its shape, and what its family does that the plain decoder does not.
// All counts are positive and their products fit 63 bits.
struct ModelConfig {
  std::string model_type;  // one of supported_families()
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
  std::optional<LongRope> rope_long;
  double rope_factor = 1;        // rope_scaling of type "linear": all frequencies are divided by it
  double rope_local_theta = 0;   // gemma3: of the layers with a window; 0: no other
  double rope_local_factor = 1;  // rope_factor of these layers
  std::int64_t rope_dim = 0;     // the first elements of a head that are turned, even; 0: all
  std::vector<bool> turned_layers;  // which layers have a rope; empty: all
  std::int64_t max_positions = 0;
  std::int64_t sliding_window = 0;  // 0: none
  std::vector<bool> windowed;       // which layers attend through it; empty: all
  bool qkv_bias = false;
  bool o_bias = false;  // attention_bias of llama puts one on o_proj, qwen2's does not
  bool mlp_bias = false;
  bool tied_embeddings = false;
  bool fused_projections = false;  // qkv_proj and gate_up_proj instead of their parts
  QkNorm qk_norm = QkNorm::kNone;
  bool input_norms = true;    // RMSNorm of what attention and MLP read
  bool output_norms = false;  // RMSNorm of what attention and MLP add, before the residual stream
  bool norm_offset = false;   // a norm's weight is 1 + what its tensor says
  GateActivation activation = GateActivation::kSilu;
  double embedding_scale = 1;
  bool rounds_embedding_scale = false;  // to the embedding's own type, as gemma was trained
  double attention_scale = 0;           // q . k is multiplied by it; 0: 1 / sqrt(head_dim)
  double logit_scale = 1;               // logits are multiplied by it, before their cap
  double attention_softcap = 0;         // scores become cap * tanh(score / cap); 0: none
  double logit_softcap = 0;             // logits likewise
  std::int64_t bos_id = -1;             // -1: none
  std::vector<std::int64_t> eos_ids;

  [[nodiscard]] std::int64_t q_width() const { return heads * head_dim; }
  [[nodiscard]] std::int64_t kv_width() const { return kv_heads * head_dim; }
  [[nodiscard]] std::int64_t turned() const { return rope_dim == 0 ? head_dim : rope_dim; }
  [[nodiscard]] bool has_rope(std::int64_t layer) const {
    return turned_layers.empty() || turned_layers.at(static_cast<std::size_t>(layer));
  }
  // The window of one layer; 0: it sees all.
  [[nodiscard]] std::int64_t window_of(std::int64_t layer) const {
    return windowed.empty() || windowed.at(static_cast<std::size_t>(layer)) ? sliding_window : 0;
  }
};

// "llama, mistral, ..." as errors and the documentation list them.
std::string supported_families();

// `source` names the document in errors. Throws Error(kBadInput) for a missing or impossible value
// and for a model_type, activation or rope type that is not supported (the message lists those that
// are).
ModelConfig parse_config(const Json& document, const std::string& source);
ModelConfig read_config(const std::filesystem::path& model_folder);

}  // namespace loadline
