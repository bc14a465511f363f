#include "checkpoint/adapter_claims.h"

#include <fmt/format.h>

#include <cmath>

namespace loadline {
namespace {

std::string module_name(std::int64_t layer, Projection projection) {
  return fmt::format("model.layers.{}.{}", layer, module_path(projection));
}

// As PEFT (tuners/tuners_utils, get_pattern_key) where the key is a plain name.
bool is_named(const std::string& module, std::string_view key) {
  if (key.starts_with('^')) return module == key.substr(1);
  if (!module.ends_with(key)) return false;
  return module.size() == key.size() || module[module.size() - key.size() - 1] == '.';
}

template <typename Value>
const Value* find_in(const ModulePattern<Value>& pattern, const std::string& module) {
  for (const auto& entry : pattern) {
    if (is_named(module, entry.first)) return &entry.second;
  }
  return nullptr;
}

}  // namespace

std::optional<std::int64_t> claimed_rank(const AdapterClaims& claims, std::int64_t layer,
                                         Projection projection) {
  if (claims.ranks_from_tensors) return std::nullopt;
  const std::int64_t* own = find_in(claims.rank_pattern, module_name(layer, projection));
  return own == nullptr ? claims.rank : *own;
}

double claimed_alpha(const AdapterClaims& claims, std::int64_t layer, Projection projection,
                     std::int64_t rank) {
  const double* own = find_in(claims.alpha_pattern, module_name(layer, projection));
  const double alpha = own == nullptr ? claims.alpha : *own;
  // rslora's scale is alpha / sqrt(r).
  return claims.rank_stabilized ? alpha * std::sqrt(static_cast<double>(rank)) : alpha;
}

}  // namespace loadline
