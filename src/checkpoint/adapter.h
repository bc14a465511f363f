// LoRA adapters as PEFT and mlx-lm write them: docs/adapters.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"

namespace loadline {

// kQkv and kGateUp are q, k and v, and gate and up, as one module: a model has either these or
// their parts.
enum class Projection : std::uint8_t { kQ, kK, kV, kO, kGate, kUp, kDown, kQkv, kGateUp };
inline constexpr int kProjections = 9;

// "q_proj" ... "down_proj"; the module path below a layer: "self_attn.q_proj", "mlp.up_proj".
std::string_view name_of(Projection projection);
std::string_view module_path(Projection projection);
std::optional<Projection> projection_named(std::string_view name);
// Those that a model has, in the enum's order; "q_proj,k_proj,..." of them.
std::vector<Projection> projections_of(const ModelConfig& model);
std::string names_of(const std::vector<Projection>& projections);
// Accepts "q_proj,v_proj", "attention" (all of self_attn) and "all"; the result is in the enum's
// order, without repeats. Throws Error(kUsage) naming the model's own for any other.
std::vector<Projection> parse_targets(std::string_view text, const ModelConfig& model);
// Names of any model's projections, as parse_targets, without its two words for many.
std::vector<Projection> parse_projections(std::string_view names);

// Inputs and outputs of a projection in this model. `parts` are the outputs of the matrices that a
// fused projection's output consists of, else `out` alone.
struct ProjectionShape {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::vector<std::int64_t> parts;
};
ProjectionShape shape_of(const ModelConfig& model, Projection projection);

struct LoraSettings {
  std::int64_t rank = 0;
  double alpha = 0;
  std::int64_t layers = 0;  // the last N; 1..model.layers
  std::vector<Projection> targets;
  double dropout = 0;  // of each pair's input, in training alone; in [0, 1)
  [[nodiscard]] double scale() const { return alpha / static_cast<double>(rank); }
};

// One LoRA pair: y += scale * (x A^T) B^T.
struct LoraPair {
  std::int64_t layer = 0;  // counted from the bottom of the model
  Projection projection = Projection::kQ;
  std::vector<float> a;  // (rank, in)
  std::vector<float> b;  // (out, rank)
};

// An adapter as Loadline trains it: one rank and alpha, the last N layers, all with the same
// targets.
struct Adapter {
  LoraSettings lora;
  std::string base_model;       // ORG/NAME of the Hub, or a folder
  std::string base_revision{};  // of the Hub; empty: not said
  std::vector<LoraPair> pairs;  // by layer, then projection
};

// An adapter from anywhere: any layers, and each pair with a rank and alpha of its own.
struct ScaledPair {
  LoraPair pair;
  std::int64_t rank = 0;
  double alpha = 0;
  [[nodiscard]] double scale() const { return alpha / static_cast<double>(rank); }
};
struct AnyAdapter {
  std::string base_model, base_revision{};  // as Adapter has them
  std::vector<ScaledPair> pairs;            // by layer, then projection
};

// PEFT: adapter_config.json and adapter_model.safetensors. mlx-lm: adapter_config.json and
// adapters.safetensors. Reading takes either.
enum class AdapterFormat : std::uint8_t { kPeft, kMlx, kBoth };
// "peft", "mlx", "both"; parsing throws Error(kUsage) naming --adapter-format.
std::string_view name_of(AdapterFormat format);
AdapterFormat parse_adapter_format(std::string_view text);

// `path` is the folder or the .safetensors file in it (config beside it). Throws Error(kBadInput)
// naming the file and both values when configuration, tensors and `model` do not belong together,
// or when the configuration asks for something that is not supported (DoRA, bias ...).
AnyAdapter read_any_adapter(const std::filesystem::path& path, const ModelConfig& model);

// The same for one that can be trained on: throws Error(kBadInput) also when ranks, alphas or
// targets differ between layers, or when the layers are not the last N.
Adapter read_adapter(const std::filesystem::path& path, const ModelConfig& model);
// read_adapter's second half; `source` names the adapter in errors.
Adapter as_trainable(AnyAdapter adapter, const ModelConfig& model, const std::string& source);

// Writes into `folder` (made if missing), each file atomically, the configuration last. Tensors are
// float32. kBoth: PEFT's into `folder`, mlx-lm's into `folder`/mlx, as both call their
// configuration adapter_config.json.
void write_adapter(const std::filesystem::path& folder, const Adapter& adapter,
                   AdapterFormat format = AdapterFormat::kPeft);

// Whether `folder` itself has one of the files of an adapter.
bool holds_adapter(const std::filesystem::path& folder);
// Removes what write_adapter() writes into `folder`: all of it, or what is not of the format
// `kept`. Other files stay.
void remove_adapters(const std::filesystem::path& folder,
                     std::optional<AdapterFormat> kept = std::nullopt);

}  // namespace loadline
