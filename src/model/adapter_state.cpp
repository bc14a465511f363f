#include "model/adapter_state.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/split_mix.h"

namespace loadline {
namespace {

std::uint64_t pair_seed(std::uint64_t seed, const LoraSlot& slot) {
  SplitMix mix(seed);
  // A fused projection has the place of its first part: no model has both.
  Projection first = slot.projection;
  if (first == Projection::kQkv) first = Projection::kQ;
  if (first == Projection::kGateUp) first = Projection::kGate;
  constexpr std::uint64_t kPlaces = 7;
  const auto place =
      static_cast<std::uint64_t>(slot.layer) * kPlaces + static_cast<std::uint64_t>(first);
  return SplitMix(mix.next() ^ (place + 1)).next();
}

void check_settings(const LoraSettings& has, const LoraSettings& wants) {
  const auto differ = [](const char* what, const auto& a, const auto& b) {
    return bad_input(
        "the adapter's {} is {} but this run's is {}. Take rank, alpha, layers and targets from "
        "the "
        "adapter, or start a new one",
        what, a, b);
  };
  if (has.rank != wants.rank) throw differ("rank", has.rank, wants.rank);
  if (has.layers != wants.layers) throw differ("number of layers", has.layers, wants.layers);
  if (std::abs(has.alpha - wants.alpha) > 1e-9 * std::abs(wants.alpha)) {
    throw differ("alpha", has.alpha, wants.alpha);
  }
  if (has.targets != wants.targets) {
    throw differ("list of targets", names_of(has.targets), names_of(wants.targets));
  }
}

std::span<float> part(std::span<float> parameters, std::int64_t first, std::int64_t count) {
  return parameters.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

void copy_tensor(const std::vector<float>& from, std::span<float> to, const LoraSlot& slot,
                 const char* name) {
  if (from.size() != to.size()) {
    throw bad_input("the adapter's layer {} {} {} has {} elements but the model needs {}",
                    slot.layer, name_of(slot.projection), name, from.size(), to.size());
  }
  std::copy(from.begin(), from.end(), to.begin());
}

}  // namespace

void initialize_parameters(const StepPlan& plan, std::uint64_t seed, std::span<float> parameters) {
  std::fill(parameters.begin(), parameters.end(), 0.0F);
  for (const LoraSlot& slot : plan.slots) {
    SplitMix random(pair_seed(seed, slot));
    const auto bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(slot.in)));
    for (float& value : part(parameters, slot.a, slot.rank * slot.in)) {
      value = bound * random.next_symmetric();
    }
  }
}

void copy_from_adapter(const Adapter& adapter, const LoraSettings& lora, const StepPlan& plan,
                       std::span<float> parameters) {
  check_settings(adapter.lora, lora);
  if (adapter.pairs.size() != plan.slots.size()) {
    throw bad_input("the adapter has {} pairs but the model needs {}", adapter.pairs.size(),
                    plan.slots.size());
  }
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const LoraSlot& slot = plan.slots[i];
    const LoraPair& pair = adapter.pairs[i];
    if (pair.layer != slot.layer || pair.projection != slot.projection) {
      throw bad_input("the adapter's pair {} is layer {} {} but the model needs layer {} {}", i,
                      pair.layer, name_of(pair.projection), slot.layer, name_of(slot.projection));
    }
    copy_tensor(pair.a, part(parameters, slot.a, lora.rank * slot.in), slot, "A");
    copy_tensor(pair.b, part(parameters, slot.b, lora.rank * slot.out), slot, "B");
  }
}

Adapter to_adapter(const LoraSettings& lora, const StepPlan& plan,
                   std::span<const float> parameters) {
  Adapter adapter{.lora = lora, .base_model = {}, .pairs = {}};
  adapter.pairs.reserve(plan.slots.size());
  const auto values = [&](std::int64_t first, std::int64_t count) {
    const auto from =
        parameters.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    return std::vector<float>(from.begin(), from.end());
  };
  for (const LoraSlot& slot : plan.slots) {
    adapter.pairs.push_back({.layer = slot.layer,
                             .projection = slot.projection,
                             .a = values(slot.a, lora.rank * slot.in),
                             .b = values(slot.b, lora.rank * slot.out)});
  }
  return adapter;
}

}  // namespace loadline
