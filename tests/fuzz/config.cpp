// Any text is a configuration whose products fit, or an Error.
#include "checkpoint/config.h"

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/mlx.h"
#include "checkpoint/peft.h"
#include "promise.h"

namespace loadline {
namespace {

void check(const ModelConfig& config) {
  require(config.layers > 0 && config.heads > 0 && config.kv_heads > 0 && config.head_dim > 0);
  require(config.heads % config.kv_heads == 0 && config.head_dim % 2 == 0);
  require(config.sliding_window >= 0 && config.bos_id < config.vocab_size);
  std::int64_t bytes = 64;
  for (const std::int64_t n : {config.layers, config.hidden_size, config.intermediate_size}) {
    require(n > 0 && !__builtin_mul_overflow(bytes, n, &bytes));
  }
  require(config.turned() > 0 && config.turned() % 2 == 0 && config.turned() <= config.head_dim);
  require(config.windowed.empty() || std::ssize(config.windowed) == config.layers);
  require(config.turned_layers.empty() || std::ssize(config.turned_layers) == config.layers);
  require(config.attention_scale >= 0 && config.logit_scale > 0 && config.embedding_scale > 0);
  require(config.attention_softcap >= 0 && config.logit_softcap >= 0 && config.rope_factor > 0);
  if (config.rope_long) {
    require(std::ssize(config.rope_long->long_factors) == config.turned() / 2);
    require(config.rope_long->magnitude > 0);
  }
  for (const std::int64_t id : config.eos_ids) require(id >= 0 && id < config.vocab_size);
}

void check(const AdapterClaims& claims) {
  require(claims.rank > 0 && claims.alpha > 0);
  for (const std::int64_t layer : {std::int64_t{0}, kMaxLayer}) {
    const std::int64_t rank = claimed_rank(claims, layer, Projection::kDown).value_or(kMaxRank);
    require(rank > 0 && rank <= kMaxRank);
    require(claimed_alpha(claims, layer, Projection::kDown, rank) > 0);
  }
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace loadline;
  Json document;
  try {
    document = parse_json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
  } catch (const Error&) {
    return 0;
  }
  only_bad_input([&] { check(parse_config(document, "config.json")); });
  only_bad_input([&] { check(parse_peft_config(document, "adapter_config.json")); });
  only_bad_input([&] { check(parse_mlx_config(document, "adapter_config.json")); });
  return 0;
}
