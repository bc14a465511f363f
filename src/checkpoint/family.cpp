#include "checkpoint/family.h"

#include <array>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/config.h"

namespace loadline {
namespace {

constexpr std::array kFamilies{
    Family{.model_type = "llama",
           .max_positions = 2048,
           .bos_id = 1,
           .eos_id = 2,
           .biases = Biases::kAll},
    Family{.model_type = "mistral",
           .kv_heads = 8,
           .max_positions = 131072,
           .bos_id = 1,
           .eos_id = 2,
           .sliding_window = 4096,
           .windows = Windows::kAll},
    Family{.model_type = "qwen2",
           .kv_heads = 32,
           .max_positions = 32768,
           .biases = Biases::kQkv,
           .windows = Windows::kUpper},
    Family{.model_type = "qwen3",
           .kv_heads = 32,
           .head_dim = 128,
           .max_positions = 32768,
           .biases = Biases::kAttention,
           .windows = Windows::kUpper,
           .qk_norm = QkNorm::kHeads},
    Family{.model_type = "phi3",
           .max_positions = 4096,
           .bos_id = 1,
           .eos_id = 32000,
           .rms_norm_eps = 1e-5,
           .windows = Windows::kAll,
           .fused_projections = true,
           .partial_rope = true},
    Family{.model_type = "gemma2",
           .kv_heads = 4,
           .head_dim = 256,
           .max_positions = 8192,
           .bos_id = 2,
           .eos_id = 1,
           .sliding_window = 4096,
           .tied_embeddings = true,
           .biases = Biases::kAttention,
           .windows = Windows::kAlternate,
           .gemma = true,
           .attention_softcap = 50,
           .logit_softcap = 30},
    Family{.model_type = "gemma3_text",
           .kv_heads = 4,
           .head_dim = 256,
           .max_positions = 131072,
           .bos_id = 2,
           .eos_id = 1,
           .rope_theta = 1e6,
           .sliding_window = 4096,
           .tied_embeddings = true,
           .biases = Biases::kAttention,
           .windows = Windows::kFiveOfSix,
           .local_rope = true,
           .qk_norm = QkNorm::kHeads,
           .gemma = true},
    Family{.model_type = "granite",
           .max_positions = 2048,
           .bos_id = 1,
           .eos_id = 2,
           .biases = Biases::kAll,
           .multipliers = true},
    Family{.model_type = "smollm3",
           .kv_heads = 4,
           .max_positions = 32768,
           .bos_id = 128000,
           .eos_id = 128001,
           .rope_theta = 2e6,
           .tied_embeddings = true,
           .biases = Biases::kAll,
           .windows = Windows::kNoRope,
           .rope_by_layer = true},
    Family{.model_type = "olmo2",
           .max_positions = 2048,
           .eos_id = 50279,
           .rms_norm_eps = 1e-5,
           .biases = Biases::kAttention,
           .qk_norm = QkNorm::kWhole,
           .output_norms_alone = true},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

std::string supported_families() {
  std::string names;
  for (const Family& family : kFamilies) {
    if (!names.empty()) names += &family == &kFamilies.back() ? " and " : ", ";
    names += family.model_type;
  }
  return names;
}

const Family& family_of(const Json& document, const std::string& source) {
  const std::string type = json_string(document, "model_type", source);
  for (const Family& family : kFamilies) {
    if (family.model_type == type) return family;
  }
  throw bad_input("{}: model_type '{}' is not supported. Supported are {}.", source, type,
                  supported_families());
}

}  // namespace loadline
