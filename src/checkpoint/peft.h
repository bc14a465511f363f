// What is PEFT's own in an adapter folder: docs/adapters.md. adapter.cpp joins it with the tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "checkpoint/adapter.h"

namespace loadline {

// What an adapter's configuration says, before its tensors were seen.
struct AdapterClaims {
  std::int64_t rank = 0;
  double alpha = 0;  // scale = alpha / rank; rslora's scale is already in it
  std::string base_model;
  std::optional<std::vector<Projection>> targets;   // none: a pattern; the tensors tell
  std::optional<std::vector<std::int64_t>> layers;  // sorted; none: all
};

// Throws Error(kBadInput) for what is not plain LoRA on linear layers, naming the key.
AdapterClaims parse_peft_config(const Json& document, const std::string& source);

// Which half of which pair a tensor is; nothing for a name that is not one.
struct PairHalf {
  std::int64_t layer = 0;
  Projection projection = Projection::kQ;
  bool is_a = true;
};
std::optional<PairHalf> parse_peft_name(std::string_view name);
// "base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight"
std::string peft_name(const PairHalf& half);

// adapter_config.json for an adapter on `layers`.
Json peft_config(const Adapter& adapter, const std::vector<std::int64_t>& layers);

}  // namespace loadline
