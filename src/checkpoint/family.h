// Private to this room: the decoder families as a table. A family is what config.json does not say
// because transformers' code for that model_type fixes it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/json_fwd.h"
#include "checkpoint/config.h"

namespace loadline {

enum class Biases : std::uint8_t {
  kNone,
  kQkv,        // always on q, k and v
  kAttention,  // "attention_bias": on q, k, v and o
  kAll,        // that, and "mlp_bias"
};

// Which layers attend through the sliding window where no "layer_types" says it.
enum class Windows : std::uint8_t {
  kNone,       // the family has no window
  kAll,        // every layer
  kUpper,      // with "use_sliding_window", from "max_window_layers" upwards
  kAlternate,  // every second layer is full, the first is not
  kFiveOfSix,  // every sixth ("sliding_window_pattern") is full
  kNoRope,     // with "use_sliding_window", the layers without rope
};

struct Family {
  std::string_view model_type;
  // What transformers' configuration classes assume when config.json leaves a key out.
  std::int64_t kv_heads = 0;  // 0: as many as heads
  std::int64_t head_dim = 0;  // 0: hidden_size / heads
  std::int64_t max_positions = 0;
  std::int64_t bos_id = -1;
  std::int64_t eos_id = -1;
  double rms_norm_eps = 1e-6;
  double rope_theta = 10000;
  std::int64_t sliding_window = 0;  // 0: none
  bool tied_embeddings = false;
  // What its decoder does.
  Biases biases = Biases::kNone;
  Windows windows = Windows::kNone;
  bool fused_projections = false;
  bool partial_rope = false;   // "partial_rotary_factor"
  bool local_rope = false;     // layers with a window have a theta of their own
  bool rope_by_layer = false;  // "no_rope_layers"
  QkNorm qk_norm = QkNorm::kNone;
  bool gemma = false;               // 1 + w in norms, output norms, GeGLU, scaled embedding
  bool multipliers = false;         // of embedding, attention, what layers add, and logits
  bool output_norms_alone = false;  // of what attention and MLP add, none of what they read
  double attention_softcap = 0;     // assumed when the key is absent
  double logit_softcap = 0;
};

std::span<const Family> families();
// Throws Error(kBadInput) listing all families for any other "model_type".
const Family& family_of(const Json& document, const std::string& source);

}  // namespace loadline
