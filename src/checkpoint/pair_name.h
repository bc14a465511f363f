// What the names of LoRA tensors have in common: "layers.3.self_attn.q_proj" and a half of a pair.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/adapter.h"

namespace loadline {

inline constexpr std::int64_t kMaxLayer = 1 << 20;
inline constexpr std::int64_t kMaxRank = 1 << 16;

// Which half of which pair a tensor is.
struct PairHalf {
  std::int64_t layer = 0;
  Projection projection = Projection::kQ;
  bool is_a = true;
};

// Takes `prefix` off the front of `text`, if it is there.
bool skip(std::string_view& text, std::string_view prefix);

// Takes "[model.]*layers.N.MODULE" off the front of `name`; nothing when that is not there. is_a is
// left as it is.
std::optional<PairHalf> take_place(std::string_view& name);

}  // namespace loadline
