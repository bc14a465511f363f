// What is PEFT's own in an adapter folder: docs/adapters.md. adapter_read.cpp joins it with the
// tensors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_fwd.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_claims.h"
#include "checkpoint/pair_name.h"

namespace loadline {

// Throws Error(kBadInput) for what is not plain LoRA on linear layers, naming the key.
AdapterClaims parse_peft_config(const Json& document, const std::string& source);

// Nothing for a name that is not one.
std::optional<PairHalf> parse_peft_name(std::string_view name);
// "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"
std::string peft_name(const PairHalf& half);

// adapter_config.json for an adapter on `layers`.
Json peft_config(const Adapter& adapter, const std::vector<std::int64_t>& layers);

}  // namespace loadline
