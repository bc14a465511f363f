// Adapters from files: the configuration, the tensors and the model must tell the same story.
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "checkpoint/convert.h"
#include "checkpoint/mlx.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

struct AdapterFiles {
  fs::path config;
  fs::path tensors;
  Json document;  // of config
  bool is_mlx = false;
};

Error no_tensors(const fs::path& folder, const fs::path& tensors) {
  for (const char* old : {"adapter_model.bin", "adapters.npz"}) {
    if (is_there(folder / old)) {
      return bad_input(
          "{}: has {} only. Save the adapter again as safetensors "
          "(PEFT: safe_serialization=True).",
          folder.string(), old);
    }
  }
  return bad_input(
      "{}: there is no such file. An adapter is a folder with {} and {} (PEFT), or {} "
      "and {} (mlx-lm).",
      tensors.string(), kAdapterConfig, kPeftTensors, kAdapterConfig, kMlxTensors);
}

// The configuration decides whose format it is.
AdapterFiles find_files(const fs::path& path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  const fs::path folder = is_folder ? path : path.parent_path();
  AdapterFiles files{.config = folder / kAdapterConfig, .tensors = path, .document = {}};
  if (!is_folder && !is_there(path)) throw no_tensors(folder, path);
  if (!is_there(files.config)) {
    const bool has_mlx = is_there(folder / kMlxTensors);
    const fs::path tensors = folder / (has_mlx ? kMlxTensors : kPeftTensors);
    if (is_folder && !is_there(tensors)) throw no_tensors(folder, tensors);
    throw bad_input("{}: is missing. It must lie beside {}.", files.config.string(),
                    is_folder ? tensors.string() : path.string());
  }
  files.document = read_json(files.config);
  files.is_mlx = json_find(files.document, "peft_type") == nullptr &&
                 (json_find(files.document, "lora_parameters") != nullptr ||
                  json_find(files.document, "fine_tune_type") != nullptr);
  if (is_folder) files.tensors = folder / (files.is_mlx ? kMlxTensors : kPeftTensors);
  if (!is_there(files.tensors)) throw no_tensors(folder, files.tensors);
  return files;
}

std::vector<float> read_tensor(const SafetensorsHeader& header, const std::string& name,
                               const std::array<std::int64_t, 2>& shape) {
  const TensorInfo& info = header.tensors.at(name);
  if (!std::equal(shape.begin(), shape.end(), info.shape.begin(), info.shape.end())) {
    throw bad_input("{}: tensor '{}' has shape {}, but rank and model ask for {}",
                    header.path.string(), name, shape_text(info.shape), shape_text(shape));
  }
  if (!can_convert(info.dtype, DType::kF32)) {
    throw bad_input("{}: tensor '{}' is {}, but f32, f16 or bf16 is needed", header.path.string(),
                    name, name_of(info.dtype));
  }
  std::vector<std::byte> raw(info.bytes);
  read_at(header.path, info.begin, raw);
  std::vector<float> values(static_cast<std::size_t>(info.elements()));
  convert(info.dtype, raw, DType::kF32, std::as_writable_bytes(std::span(values)));
  if (!std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); })) {
    throw bad_input("{}: tensor '{}' has a value that is not finite", header.path.string(), name);
  }
  return values;
}

struct Halves {
  std::string a;
  std::string b;
};
using PairNames = std::map<std::pair<std::int64_t, Projection>, Halves>;

// The tensors' names by layer and projection; each pair has both halves, each once.
PairNames pair_names(const SafetensorsHeader& header, bool is_mlx) {
  PairNames pairs;
  for (const auto& tensor : header.tensors) {
    const std::optional<PairHalf> half =
        is_mlx ? parse_mlx_name(tensor.first) : parse_peft_name(tensor.first);
    if (!half.has_value()) {
      throw bad_input("{}: tensor '{}' is not a LoRA matrix of a projection that is supported",
                      header.path.string(), tensor.first);
    }
    Halves& halves = pairs[{half->layer, half->projection}];
    std::string& name = half->is_a ? halves.a : halves.b;
    if (!name.empty()) {
      throw bad_input("{}: tensors '{}' and '{}' are the same matrix", header.path.string(), name,
                      tensor.first);
    }
    name = tensor.first;
  }
  if (pairs.empty()) throw bad_input("{}: holds no tensors", header.path.string());
  for (const auto& [where, halves] : pairs) {
    if (halves.a.empty() || halves.b.empty()) {
      throw bad_input("{}: '{}' has no lora_{} beside it", header.path.string(),
                      halves.a.empty() ? halves.b : halves.a, halves.a.empty() ? 'A' : 'B');
    }
  }
  return pairs;
}

std::vector<std::int64_t> layers_of(const PairNames& pairs) {
  std::vector<std::int64_t> layers;
  for (const auto& pair : pairs) {
    if (layers.empty() || layers.back() != pair.first.first) layers.push_back(pair.first.first);
  }
  return layers;
}

std::vector<Projection> targets_of(const PairNames& pairs) {
  std::array<bool, kProjections> seen{};
  for (const auto& pair : pairs) seen[static_cast<std::size_t>(pair.first.second)] = true;
  std::vector<Projection> targets;
  for (int i = 0; i < kProjections; ++i) {
    if (seen[static_cast<std::size_t>(i)]) targets.push_back(static_cast<Projection>(i));
  }
  return targets;
}

void require_projections(const std::vector<Projection>& targets, const ModelConfig& model,
                         const std::string& file) {
  const std::vector<Projection> known = projections_of(model);
  for (const Projection target : targets) {
    if (std::find(known.begin(), known.end(), target) != known.end()) continue;
    throw bad_input("{}: adapts {}, but a {} model has {}", file, name_of(target), model.model_type,
                    names_of(known));
  }
}

std::vector<std::int64_t> claimed_layers(const AdapterClaims& claims, const ModelConfig& model) {
  if (claims.layers) return *claims.layers;
  const std::int64_t count = claims.last_layers.value_or(model.layers);
  std::vector<std::int64_t> layers;
  for (std::int64_t layer = model.layers - count; layer < model.layers; ++layer) {
    layers.push_back(layer);
  }
  return layers;
}

std::string claim_text(const AdapterClaims& claims, const ModelConfig& model) {
  if (claims.layers) return fmt::format("{}", fmt::join(*claims.layers, ","));
  if (claims.last_layers) {
    return fmt::format("the last {} of {}", *claims.last_layers, model.layers);
  }
  return fmt::format("all {}", model.layers);
}

void require_agreement(const AdapterClaims& claims, const PairNames& pairs,
                       const ModelConfig& model, const AdapterFiles& files) {
  const std::vector<std::int64_t> layers = layers_of(pairs);
  const std::vector<Projection> targets = targets_of(pairs);
  const std::string file = files.tensors.string();
  require_projections(targets, model, file);
  if (layers.back() >= model.layers) {
    throw bad_input("{}: adapts layer {}, but the model has layers 0 to {}", file, layers.back(),
                    model.layers - 1);
  }
  if (claims.last_layers.value_or(0) > model.layers) {
    throw bad_input("{}: 'num_layers' is {}, but the model has {}", files.config.string(),
                    *claims.last_layers, model.layers);
  }
  if (claims.targets_exact && claimed_layers(claims, model) != layers) {
    throw bad_input("{}: has tensors for the layers {}, but {} says {}", file,
                    fmt::join(layers, ","), files.config.string(), claim_text(claims, model));
  }
  if (claims.targets_exact && claims.targets && *claims.targets != targets) {
    throw bad_input("{}: has tensors for {}, but {} says {}", file, names_of(targets),
                    files.config.string(), names_of(*claims.targets));
  }
}

// Reads a pair whose place among the files is known.
ScaledPair read_pair(const SafetensorsHeader& header, const Halves& halves,
                     const AdapterClaims& claims, std::int64_t layer, Projection projection,
                     const ModelConfig& model, bool is_mlx) {
  const ProjectionShape shape = shape_of(model, projection);
  const std::vector<std::int64_t>& a_shape = header.tensors.at(halves.a).shape;
  const std::int64_t seen = a_shape.empty() ? 0 : a_shape.front();
  const std::int64_t rank =
      claimed_rank(claims, layer, projection).value_or(std::clamp<std::int64_t>(seen, 1, kMaxRank));
  const double alpha = claimed_alpha(claims, layer, projection, rank);
  if (alpha < kLeastAlpha || alpha > kMostAlpha) {
    throw bad_input("{}: rank {} of '{}' gives the scale {}, but it must be from {} to {}",
                    header.path.string(), rank, halves.a, alpha / static_cast<double>(rank),
                    kLeastAlpha / static_cast<double>(rank),
                    kMostAlpha / static_cast<double>(rank));
  }
  ScaledPair scaled{.pair = {.layer = layer, .projection = projection, .a = {}, .b = {}},
                    .rank = rank,
                    .alpha = alpha};
  if (is_mlx) {
    scaled.pair.a = transposed(read_tensor(header, halves.a, {shape.in, rank}), shape.in, rank);
    scaled.pair.b = transposed(read_tensor(header, halves.b, {rank, shape.out}), rank, shape.out);
  } else {
    scaled.pair.a = read_tensor(header, halves.a, {rank, shape.in});
    scaled.pair.b = read_tensor(header, halves.b, {shape.out, rank});
  }
  return scaled;
}

// What read_adapter's caller can do about it.
constexpr std::string_view kOtherUses = "`loadline generate` and `loadline fuse` take it as it is.";

void require_last_layers(const std::vector<std::int64_t>& layers, const ModelConfig& model,
                         const std::string& source) {
  const auto count = std::ssize(layers);
  if (layers.front() != model.layers - count || layers.back() != model.layers - 1) {
    throw bad_input(
        "{}: adapts the layers {}, but only the last N of the model's {} can be trained or "
        "converted. "
        "{}",
        source, fmt::join(layers, ","), model.layers, kOtherUses);
  }
}

void require_one_scale(const AnyAdapter& adapter, const std::string& source) {
  const ScaledPair& first = adapter.pairs.front();
  for (const ScaledPair& other : adapter.pairs) {
    if (other.rank == first.rank && other.alpha == first.alpha) continue;
    throw bad_input(
        "{}: layer {} {} has rank {} and alpha {}, but layer {} {} has {} and {}: only one "
        "rank and alpha can be trained or converted. {}",
        source, first.pair.layer, name_of(first.pair.projection), first.rank, first.alpha,
        other.pair.layer, name_of(other.pair.projection), other.rank, other.alpha, kOtherUses);
  }
}

}  // namespace

AnyAdapter read_any_adapter(const fs::path& path, const ModelConfig& model) {
  const AdapterFiles files = find_files(path);
  const AdapterClaims claims = files.is_mlx
                                   ? parse_mlx_config(files.document, files.config.string())
                                   : parse_peft_config(files.document, files.config.string());
  const SafetensorsHeader header = read_safetensors_header(files.tensors);
  const PairNames names = pair_names(header, files.is_mlx);
  require_agreement(claims, names, model, files);
  AnyAdapter adapter{
      .base_model = claims.base_model, .base_revision = claims.base_revision, .pairs = {}};
  for (const auto& [where, halves] : names) {
    adapter.pairs.push_back(
        read_pair(header, halves, claims, where.first, where.second, model, files.is_mlx));
  }
  return adapter;
}

Adapter as_trainable(AnyAdapter adapter, const ModelConfig& model, const std::string& source) {
  if (adapter.pairs.empty()) throw bad_input("{}: holds no tensors", source);
  PairNames names;
  for (const ScaledPair& pair : adapter.pairs) names[{pair.pair.layer, pair.pair.projection}];
  const std::vector<std::int64_t> layers = layers_of(names);
  require_last_layers(layers, model, source);
  require_one_scale(adapter, source);
  Adapter result{.lora = {.rank = adapter.pairs.front().rank,
                          .alpha = adapter.pairs.front().alpha,
                          .layers = std::ssize(layers),
                          .targets = targets_of(names)},
                 .base_model = std::move(adapter.base_model),
                 .base_revision = std::move(adapter.base_revision),
                 .pairs = {}};
  const std::size_t expected = layers.size() * result.lora.targets.size();
  if (names.size() != expected) {
    throw bad_input("{}: has {} pairs, but {} layers with {} each make {}. {}", source,
                    names.size(), layers.size(), names_of(result.lora.targets), expected,
                    kOtherUses);
  }
  for (ScaledPair& pair : adapter.pairs) result.pairs.push_back(std::move(pair.pair));
  return result;
}

Adapter read_adapter(const fs::path& path, const ModelConfig& model) {
  return as_trainable(read_any_adapter(path, model), model, path.string());
}

}  // namespace loadline
