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
#include "base/json.h"
#include "checkpoint/adapter_files.h"
#include "commands/command.h"
#include "report/text.h"
#include "training/readiness.h"
#include "workload/options.h"
#include "workload/workload.h"

namespace loadline {
namespace {

struct AdapterOptions {
  WorkloadOptions base;  // its model alone
  std::string adapter_path;
  std::optional<std::string> output, format;
};

// "8" or "8 to 64".
template <typename Value>
std::string range_text(const std::set<Value>& values) {
  if (values.size() == 1) return fmt::format("{}", *values.begin());
  return fmt::format("{} to {}", *values.begin(), *values.rbegin());
}

struct AdapterFacts {
  std::set<std::int64_t> ranks, layers;
  std::set<double> alphas, scales;
  std::set<Projection> targets;
  std::size_t parameters = 0;
};

AdapterFacts facts_of(const AnyAdapter& adapter) {
  AdapterFacts facts;
  for (const ScaledPair& pair : adapter.pairs) {
    facts.ranks.insert(pair.rank);
    facts.layers.insert(pair.pair.layer);
    facts.alphas.insert(pair.alpha);
    facts.scales.insert(pair.scale());
    facts.targets.insert(pair.pair.projection);
    facts.parameters += pair.pair.a.size() + pair.pair.b.size();
  }
  return facts;
}

void show(const AnyAdapter& adapter, const ModelConfig& model) {
  const AdapterFacts facts = facts_of(adapter);
  fmt::print("base model  {}{}\n",
             adapter.base_model.empty() ? "(not said)" : printable(adapter.base_model),
             adapter.base_revision.empty() ? "" : ", revision " + printable(adapter.base_revision));
  fmt::print("rank        {}\n", range_text(facts.ranks));
  fmt::print("alpha       {} (scale {})\n", range_text(facts.alphas), range_text(facts.scales));
  fmt::print("layers      {} of {}: {}\n", facts.layers.size(), model.layers,
             range_text(facts.layers));
  fmt::print("targets     {}\n", names_of({facts.targets.begin(), facts.targets.end()}));
  fmt::print("parameters  {} in {} pairs\n", facts.parameters, adapter.pairs.size());
}

Json text_or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

void show_document(const AnyAdapter& adapter, const ModelConfig& model,
                   const AdapterOptions& options) {
  const AdapterFacts facts = facts_of(adapter);
  Json targets = Json::array();
  for (const Projection target : facts.targets) targets.push_back(name_of(target));
  Json document{{"schema_version", 1},
                {"base_model", text_or_null(adapter.base_model)},
                {"base_revision", text_or_null(adapter.base_revision)},
                {"ranks", facts.ranks},
                {"alphas", facts.alphas},
                {"scales", facts.scales},
                {"layers", facts.layers},
                {"model_layers", model.layers},
                {"targets", std::move(targets)},
                {"parameters", facts.parameters},
                {"pairs", adapter.pairs.size()}};
  if (options.output) document["written_to"] = *options.output;
  fmt::print("{}\n", document.dump(2));
}

void convert_to(const std::string& output, AnyAdapter adapter, const ModelConfig& model,
                const AdapterOptions& options) {
  const std::filesystem::path folder = output;
  for (const auto& place : {folder, folder / "mlx"}) {
    if (!holds_adapter(place)) continue;
    throw usage_error("--output {}: an adapter is there already, in {}. Choose another folder",
                      output, place.string());
  }
  require_no_model_folder(folder, "--output");
  const AdapterFormat format = parse_adapter_format(options.format.value_or("peft"));
  write_adapter(folder, as_trainable(std::move(adapter), model, options.adapter_path), format);
  if (!options.base.json) fmt::print("written to  {} ({})\n", output, name_of(format));
}

int run_adapter(const AdapterOptions& options) {
  if (options.format && !options.output && !is_shared_flag("--adapter-format")) {
    throw usage_error("--adapter-format {}: needs --output DIR to write to", *options.format);
  }
  const ModelConfig model = read_config(model_folder_of(options.base, ModelParts::kText));
  const AnyAdapter adapter = read_any_adapter(options.adapter_path, model);
  if (!options.base.json) show(adapter, model);
  if (options.output) convert_to(*options.output, adapter, model, options);
  if (options.base.json) show_document(adapter, model, options);
  return 0;
}

}  // namespace

CommandFunction add_adapter(Flags flags) {
  const auto options = std::make_shared<AdapterOptions>();
  add_model_flags(flags, options->base);
  add_demo_flag(flags, options->base, "The embedded model");
  flags.required("--adapter-path DIR|FILE", options->adapter_path,
                 "Adapter of PEFT or mlx-lm: its folder or its .safetensors");
  flags.value("--output DIR", options->output, "Write it there");
  flags.value("--adapter-format peft|mlx|both", options->format,
              "Of what is written; peft when not given");
  return [options] { return run_adapter(*options); };
}

}  // namespace loadline
