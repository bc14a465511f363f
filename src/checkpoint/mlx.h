// What is mlx-lm's own in an adapter folder: docs/adapters.md. adapter_read.cpp joins it with the
// tensors, which lie there transposed: lora_a (in, rank), lora_b (rank, out).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/json_fwd.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_claims.h"
#include "checkpoint/pair_name.h"

namespace loadline {

// Throws Error(kBadInput) for what is not plain LoRA on linear layers, naming the key.
AdapterClaims parse_mlx_config(const Json& document, const std::string& source);

// Nothing for a name that is not one.
std::optional<PairHalf> parse_mlx_name(std::string_view name);
// "model.layers.3.self_attn.q_proj.lora_a"
std::string mlx_name(const PairHalf& half);

Json mlx_config(const Adapter& adapter);

// The shortest alpha for which alpha / rank is `scale`, bit for bit, where there is one.
double alpha_of_scale(double scale, std::int64_t rank);

}  // namespace loadline
