// The projections of a decoder layer: adapter.h.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "checkpoint/adapter.h"

namespace loadline {
namespace {

bool is_attention(Projection projection) {
  return module_path(projection).starts_with("self_attn");
}

// "a,b" of `known`, in its order, without repeats.
std::vector<Projection> choose(std::string_view text, const std::vector<Projection>& known,
                               const std::string& whose) {
  std::vector<Projection> chosen;
  while (true) {
    const std::string_view name = text.substr(0, text.find(','));
    const std::optional<Projection> projection = projection_named(name);
    if (!projection || std::find(known.begin(), known.end(), *projection) == known.end()) {
      throw usage_error(
          "--target-modules: '{}' is not a projection {}. Choose from {}; or attention, or all.",
          name, whose, names_of(known));
    }
    chosen.push_back(*projection);
    if (name.size() == text.size()) break;
    text.remove_prefix(name.size() + 1);
  }
  std::sort(chosen.begin(), chosen.end());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  return chosen;
}

}  // namespace

std::string_view name_of(Projection projection) {
  const std::string_view path = module_path(projection);
  return path.substr(path.find('.') + 1);
}

std::string_view module_path(Projection projection) {
  switch (projection) {
    case Projection::kQ:
      return "self_attn.q_proj";
    case Projection::kK:
      return "self_attn.k_proj";
    case Projection::kV:
      return "self_attn.v_proj";
    case Projection::kO:
      return "self_attn.o_proj";
    case Projection::kGate:
      return "mlp.gate_proj";
    case Projection::kUp:
      return "mlp.up_proj";
    case Projection::kDown:
      return "mlp.down_proj";
    case Projection::kQkv:
      return "self_attn.qkv_proj";
    case Projection::kGateUp:
      return "mlp.gate_up_proj";
  }
  return "?";
}

std::optional<Projection> projection_named(std::string_view name) {
  for (int i = 0; i < kProjections; ++i) {
    if (name_of(static_cast<Projection>(i)) == name) return static_cast<Projection>(i);
  }
  return std::nullopt;
}

std::vector<Projection> projections_of(const ModelConfig& model) {
  using enum Projection;
  if (model.fused_projections) return {kO, kDown, kQkv, kGateUp};
  return {kQ, kK, kV, kO, kGate, kUp, kDown};
}

std::string names_of(const std::vector<Projection>& projections) {
  std::string names;
  for (const Projection projection : projections) {
    if (!names.empty()) names += ',';
    names += name_of(projection);
  }
  return names;
}

std::vector<Projection> parse_targets(std::string_view text, const ModelConfig& model) {
  std::vector<Projection> known = projections_of(model);
  if (text == "all") return known;
  if (text != "attention") {
    return choose(text, known, fmt::format("of a {} model", model.model_type));
  }
  std::vector<Projection> targets;
  std::copy_if(known.begin(), known.end(), std::back_inserter(targets), is_attention);
  return targets;
}

std::vector<Projection> parse_projections(std::string_view names) {
  std::vector<Projection> any;
  any.reserve(kProjections);
  for (int i = 0; i < kProjections; ++i) any.push_back(static_cast<Projection>(i));
  return choose(names, any, "of any model");
}

ProjectionShape shape_of(const ModelConfig& model, Projection projection) {
  const std::int64_t hidden = model.hidden_size;
  const std::int64_t q = model.q_width();
  const std::int64_t kv = model.kv_width();
  const std::int64_t wide = model.intermediate_size;
  switch (projection) {
    case Projection::kQ:
      return {.in = hidden, .out = q, .parts = {q}};
    case Projection::kK:
    case Projection::kV:
      return {.in = hidden, .out = kv, .parts = {kv}};
    case Projection::kO:
      return {.in = q, .out = hidden, .parts = {hidden}};
    case Projection::kGate:
    case Projection::kUp:
      return {.in = hidden, .out = wide, .parts = {wide}};
    case Projection::kDown:
      return {.in = wide, .out = hidden, .parts = {hidden}};
    case Projection::kQkv:
      return {.in = hidden, .out = q + 2 * kv, .parts = {q, kv, kv}};
    case Projection::kGateUp:
      return {.in = hidden, .out = 2 * wide, .parts = {wide, wide}};
  }
  return {};
}

}  // namespace loadline
