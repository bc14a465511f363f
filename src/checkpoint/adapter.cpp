#include "checkpoint/adapter.h"

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
#include "checkpoint/convert.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";

struct AdapterFiles {
  fs::path config;
  fs::path tensors;
};

// The seam for other formats (mlx-lm's adapters.safetensors): which files are there decides.
AdapterFiles find_files(const fs::path& path) {
  std::error_code ignored;
  const bool is_folder = fs::is_directory(path, ignored);
  const fs::path folder = is_folder ? path : path.parent_path();
  AdapterFiles files{.config = folder / kConfigFile,
                     .tensors = is_folder ? folder / kTensorFile : path};
  if (!fs::exists(files.tensors, ignored)) {
    if (fs::exists(folder / "adapter_model.bin", ignored)) {
      throw bad_input(
          "{}: has adapter_model.bin only. Save the adapter again with "
          "safe_serialization=True.",
          folder.string());
    }
    throw bad_input("{}: there is no such file. An adapter is a folder with {} and {}.",
                    files.tensors.string(), kConfigFile, kTensorFile);
  }
  if (!fs::exists(files.config, ignored)) {
    throw bad_input("{}: is missing. It must lie beside {}.", files.config.string(),
                    files.tensors.string());
  }
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
PairNames pair_names(const SafetensorsHeader& header) {
  PairNames pairs;
  for (const auto& tensor : header.tensors) {
    const std::optional<PairHalf> half = parse_peft_name(tensor.first);
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

std::string names_of(const std::vector<Projection>& targets) {
  std::vector<std::string_view> names;
  names.reserve(targets.size());
  for (const Projection target : targets) names.push_back(name_of(target));
  return fmt::format("{}", fmt::join(names, ","));
}

void require_last_layers(const std::vector<std::int64_t>& layers, const ModelConfig& model,
                         const std::string& file) {
  if (layers.back() >= model.layers) {
    throw bad_input("{}: adapts layer {}, but the model has layers 0 to {}", file, layers.back(),
                    model.layers - 1);
  }
  const auto count = std::ssize(layers);
  if (layers.front() != model.layers - count || layers.back() != model.layers - 1) {
    throw bad_input("{}: adapts the layers {}, but only the last N of the model's {} are supported",
                    file, fmt::join(layers, ","), model.layers);
  }
}

// The configuration, the tensors and the model must tell the same story.
LoraSettings settled(const AdapterClaims& claims, const PairNames& pairs, const ModelConfig& model,
                     const AdapterFiles& files) {
  const std::vector<std::int64_t> layers = layers_of(pairs);
  const std::string file = files.tensors.string();
  require_last_layers(layers, model, file);
  LoraSettings lora{.rank = claims.rank,
                    .alpha = claims.alpha,
                    .layers = std::ssize(layers),
                    .targets = targets_of(pairs)};
  const std::int64_t claimed =
      claims.layers.has_value() ? std::ssize(*claims.layers) : model.layers;
  if (claims.layers.has_value() ? *claims.layers != layers : claimed != lora.layers) {
    throw bad_input("{}: has tensors for the layers {}, but {} says {}", file,
                    fmt::join(layers, ","), files.config.string(),
                    claims.layers.has_value() ? fmt::format("{}", fmt::join(*claims.layers, ","))
                                              : fmt::format("all {}", model.layers));
  }
  if (claims.targets.has_value() && *claims.targets != lora.targets) {
    throw bad_input("{}: has tensors for {}, but {} says {}", file, names_of(lora.targets),
                    files.config.string(), names_of(*claims.targets));
  }
  const std::size_t expected = layers.size() * lora.targets.size();
  if (pairs.size() != expected) {
    throw bad_input("{}: has {} pairs, but {} layers with {} each make {}", file, pairs.size(),
                    layers.size(), names_of(lora.targets), expected);
  }
  return lora;
}

std::vector<std::int64_t> layers_of(const Adapter& adapter) {
  std::vector<std::int64_t> layers;
  for (const LoraPair& pair : adapter.pairs) layers.push_back(pair.layer);
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

TensorToWrite to_write(const LoraPair& pair, bool is_a, std::int64_t rank) {
  const std::vector<float>& values = is_a ? pair.a : pair.b;
  const std::int64_t other = std::ssize(values) / rank;
  return {.name = peft_name({.layer = pair.layer, .projection = pair.projection, .is_a = is_a}),
          .dtype = DType::kF32,
          .shape = is_a ? std::vector{rank, other} : std::vector{other, rank},
          .data = std::as_bytes(std::span(values))};
}

}  // namespace

Adapter read_adapter(const fs::path& path, const ModelConfig& model) {
  const AdapterFiles files = find_files(path);
  const AdapterClaims claims = parse_peft_config(read_json(files.config), files.config.string());
  const SafetensorsHeader header = read_safetensors_header(files.tensors);
  const PairNames names = pair_names(header);

  Adapter adapter;
  adapter.base_model = claims.base_model;
  adapter.lora = settled(claims, names, model, files);
  for (const auto& [where, halves] : names) {
    const ProjectionShape shape = shape_of(model, where.second);
    adapter.pairs.push_back({.layer = where.first,
                             .projection = where.second,
                             .a = read_tensor(header, halves.a, {claims.rank, shape.in}),
                             .b = read_tensor(header, halves.b, {shape.out, claims.rank})});
  }
  return adapter;
}

void write_adapter(const fs::path& folder, const Adapter& adapter) {
  const std::int64_t rank = adapter.lora.rank;
  if (rank < 1) throw usage_error("{}: an adapter of rank {} cannot be", folder.string(), rank);
  std::vector<TensorToWrite> tensors;
  for (const LoraPair& pair : adapter.pairs) {
    tensors.push_back(to_write(pair, true, rank));
    tensors.push_back(to_write(pair, false, rank));
  }
  make_folder(folder);
  write_safetensors(folder / kTensorFile, tensors, {{"format", "pt"}});
  // Last, as a reader takes the folder for an adapter once it is there.
  replace_file(folder / kConfigFile, peft_config(adapter, layers_of(adapter)).dump(2) + "\n");
}

}  // namespace loadline
