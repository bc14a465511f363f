#include "checkpoint/pair_name.h"

#include <charconv>

namespace loadline {

bool skip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<PairHalf> take_place(std::string_view& name) {
  while (skip(name, "model.")) {
  }
  if (!skip(name, "layers.")) return std::nullopt;
  PairHalf half;
  const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), half.layer);
  if (failure != std::errc{} || half.layer < 0 || half.layer > kMaxLayer) return std::nullopt;
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  if (!skip(name, ".")) return std::nullopt;
  for (int i = 0; i < kProjections; ++i) {
    half.projection = static_cast<Projection>(i);
    if (skip(name, module_path(half.projection))) return half;
  }
  return std::nullopt;
}

}  // namespace loadline
