// LoRA adapters as PEFT writes them: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"

namespace loadline {

enum class Projection : std::uint8_t { kQ, kK, kV, kO, kGate, kUp, kDown };
inline constexpr int kProjections = 7;

// "q_proj" ... "down_proj"; the module path below a layer: "self_attn.q_proj", "mlp.up_proj".
std::string_view name_of(Projection projection);
std::string_view module_path(Projection projection);
// Accepts "q_proj,v_proj" and "all"; the result is in the enum's order, without repeats. Throws
// Error(kUsage).
std::vector<Projection> parse_targets(std::string_view text);

// Inputs and outputs of a projection in this model.
struct ProjectionShape {
  std::int64_t in = 0;
  std::int64_t out = 0;
};
ProjectionShape shape_of(const ModelConfig& model, Projection projection);

struct LoraSettings {
  std::int64_t rank = 0;
  double alpha = 0;
  std::int64_t layers = 0;  // the last N; 1..model.layers
  std::vector<Projection> targets;
  [[nodiscard]] double scale() const { return alpha / static_cast<double>(rank); }
};

// One LoRA pair: y += scale * (x A^T) B^T.
struct LoraPair {
  std::int64_t layer = 0;  // counted from the bottom of the model
  Projection projection = Projection::kQ;
  std::vector<float> a;  // (rank, in)
  std::vector<float> b;  // (out, rank)
};

struct Adapter {
  LoraSettings lora;
  std::string base_model;
  std::vector<LoraPair> pairs;  // by layer, then projection
};

// `path` is the folder or the .safetensors file in it (config beside it). Throws Error(kBadInput)
// naming the file and both values when shapes, rank, targets or layers do not belong to `model`,
// when layers are not the last N, or when the config asks for something that is not supported
// (DoRA, rank_pattern, bias ...).
Adapter read_adapter(const std::filesystem::path& path, const ModelConfig& model);

// Writes both files into `folder` (made if missing), each atomically, config last. Tensors are
// float32.
void write_adapter(const std::filesystem::path& folder, const Adapter& adapter);

}  // namespace loadline
