// The seven projections of a decoder layer: adapter.h.
#include <array>

#include "base/error.h"
#include "checkpoint/adapter.h"

namespace loadline {

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
  }
  return "?";
}

std::vector<Projection> parse_targets(std::string_view text) {
  std::array<bool, kProjections> chosen{};
  if (text == "all") chosen.fill(true);
  while (text != "all") {
    const std::string_view name = text.substr(0, text.find(','));
    bool known = false;
    for (int i = 0; i < kProjections; ++i) {
      if (name_of(static_cast<Projection>(i)) != name) continue;
      chosen[static_cast<std::size_t>(i)] = known = true;
    }
    if (!known) {
      throw usage_error(
          "--target-modules: '{}' is not a projection. Choose from q_proj, k_proj, "
          "v_proj, o_proj, gate_proj, up_proj, down_proj, or all.",
          name);
    }
    if (name.size() == text.size()) break;
    text.remove_prefix(name.size() + 1);
  }
  std::vector<Projection> targets;
  for (int i = 0; i < kProjections; ++i) {
    if (chosen[static_cast<std::size_t>(i)]) targets.push_back(static_cast<Projection>(i));
  }
  return targets;
}

ProjectionShape shape_of(const ModelConfig& model, Projection projection) {
  switch (projection) {
    case Projection::kQ:
      return {.in = model.hidden_size, .out = model.q_width()};
    case Projection::kK:
    case Projection::kV:
      return {.in = model.hidden_size, .out = model.kv_width()};
    case Projection::kO:
      return {.in = model.q_width(), .out = model.hidden_size};
    case Projection::kGate:
    case Projection::kUp:
      return {.in = model.hidden_size, .out = model.intermediate_size};
    case Projection::kDown:
      return {.in = model.intermediate_size, .out = model.hidden_size};
  }
  return {};
}

}  // namespace loadline
