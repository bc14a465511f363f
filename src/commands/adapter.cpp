// loadline adapter: what an adapter holds; the same adapter in the other format.
#include "checkpoint/adapter.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/adapter_files.h"
#include "commands/command.h"
#include "commands/model_source.h"

namespace loadline {
namespace {

struct AdapterOptions {
  std::string model, adapter_path;
  std::optional<std::string> output, format;
};

// "8" or "8 to 64".
template <typename Value>
std::string range_text(const std::set<Value>& values) {
  if (values.size() == 1) return fmt::format("{}", *values.begin());
  return fmt::format("{} to {}", *values.begin(), *values.rbegin());
}

void show(const AnyAdapter& adapter, const ModelConfig& model) {
  std::set<std::int64_t> ranks, layers;
  std::set<double> alphas, scales;
  std::set<Projection> targets;
  std::size_t parameters = 0;
  for (const ScaledPair& pair : adapter.pairs) {
    ranks.insert(pair.rank);
    layers.insert(pair.pair.layer);
    alphas.insert(pair.alpha);
    scales.insert(pair.scale());
    targets.insert(pair.pair.projection);
    parameters += pair.pair.a.size() + pair.pair.b.size();
  }
  fmt::print("base model  {}\n", adapter.base_model.empty() ? "(not said)" : adapter.base_model);
  fmt::print("rank        {}\n", range_text(ranks));
  fmt::print("alpha       {} (scale {})\n", range_text(alphas), range_text(scales));
  fmt::print("layers      {} of {}: {}\n", layers.size(), model.layers, range_text(layers));
  fmt::print("targets     {}\n", names_of({targets.begin(), targets.end()}));
  fmt::print("parameters  {} in {} pairs\n", parameters, adapter.pairs.size());
}

void convert_to(const std::string& output, AnyAdapter adapter, const ModelConfig& model,
                const AdapterOptions& options) {
  const std::filesystem::path folder = output;
  for (const auto& place : {folder, folder / "mlx"}) {
    if (is_there(place / kAdapterConfig)) {
      throw usage_error("--output {}: {} is there already. Choose another folder", output,
                        (place / kAdapterConfig).string());
    }
  }
  const AdapterFormat format = parse_adapter_format(options.format.value_or("peft"));
  write_adapter(folder, as_trainable(std::move(adapter), model, options.adapter_path), format);
  fmt::print("written to  {} ({})\n", output, name_of(format));
}

int run_adapter(const AdapterOptions& options) {
  if (options.format && !options.output) {
    throw usage_error("--adapter-format {}: needs --output DIR to write to", *options.format);
  }
  const ModelConfig model = read_config(resolve_model(options.model, ModelParts::kText));
  AnyAdapter adapter = read_any_adapter(options.adapter_path, model);
  show(adapter, model);
  if (options.output) convert_to(*options.output, std::move(adapter), model, options);
  return 0;
}

}  // namespace

CommandFunction add_adapter(Flags flags) {
  const auto options = std::make_shared<AdapterOptions>();
  flags.required("--model", options->model, "The base model's folder, or ORG/NAME[@REVISION]");
  flags.required("--adapter-path", options->adapter_path,
                 "Adapter of PEFT or mlx-lm: its folder or its .safetensors");
  flags.value("--output", options->output, "Write it there");
  flags.value("--adapter-format", options->format, "Of what is written: peft, mlx or both");
  return [options] { return run_adapter(*options); };
}

}  // namespace loadline
