// Any two files are an adapter that holds what AnyAdapter promises for a model, or an Error. One
// that can be trained is written and read again, as PEFT's and as mlx-lm's, without a change.
//
// The input: a byte of choices, the configuration's length and the data's size in two bytes each,
// the configuration, and the header of the tensors' file (or, by choice, that whole file).
#include "checkpoint/adapter.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "checkpoint/adapter_files.h"
#include "promise.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

enum Choice : std::uint8_t { kMlxFile = 1, kWholeFile = 2, kFusedModel = 4, kNamedFile = 8 };

struct Input {
  std::uint8_t choices = 0;
  std::uint16_t config_bytes = 0;
  std::uint16_t data_bytes = 0;
  std::string_view rest;
};

const ModelConfig& model(bool fused) {
  const auto made = [](const char* type) {
    Json config = Json::parse(R"({"vocab_size":9,"hidden_size":8,"intermediate_size":12,
        "num_hidden_layers":3,"num_attention_heads":2,"num_key_value_heads":1,
        "max_position_embeddings":64})");
    config["model_type"] = type;
    return parse_config(config, "config.json");
  };
  static const ModelConfig kSplit = made("llama");
  static const ModelConfig kFused = made("phi3");
  return fused ? kFused : kSplit;
}

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

void check(const AnyAdapter& adapter, const ModelConfig& model) {
  const std::vector<Projection> known = projections_of(model);
  require(!adapter.pairs.empty());
  const LoraPair* last = nullptr;
  for (const ScaledPair& scaled : adapter.pairs) {
    const LoraPair& pair = scaled.pair;
    require(pair.layer >= 0 && pair.layer < model.layers);
    require(std::find(known.begin(), known.end(), pair.projection) != known.end());
    require(scaled.rank > 0 && scaled.alpha > 0 && scaled.scale() > 0 &&
            std::isfinite(scaled.scale()));
    const ProjectionShape shape = shape_of(model, pair.projection);
    require(std::ssize(pair.a) == scaled.rank * shape.in && all_finite(pair.a));
    require(std::ssize(pair.b) == scaled.rank * shape.out && all_finite(pair.b));
    require(last == nullptr || last->layer < pair.layer ||
            (last->layer == pair.layer && last->projection < pair.projection));
    last = &pair;
  }
}

void check(const Adapter& adapter, const ModelConfig& model) {
  const LoraSettings& lora = adapter.lora;
  require(lora.rank > 0 && lora.alpha > 0 && lora.layers > 0 && lora.layers <= model.layers);
  require(!lora.targets.empty());
  require(adapter.pairs.size() == static_cast<std::size_t>(lora.layers) * lora.targets.size());
  for (std::size_t i = 0; i < adapter.pairs.size(); ++i) {
    const auto above = static_cast<std::int64_t>(i / lora.targets.size());
    require(adapter.pairs[i].layer == model.layers - lora.layers + above);
    require(adapter.pairs[i].projection == lora.targets[i % lora.targets.size()]);
  }
}

void require_same(const Adapter& a, const Adapter& b) {
  require(a.lora.rank == b.lora.rank && a.lora.layers == b.lora.layers);
  require(a.lora.scale() == b.lora.scale() && a.lora.targets == b.lora.targets);
  require(a.base_model == b.base_model && a.pairs.size() == b.pairs.size());
  for (std::size_t i = 0; i < a.pairs.size(); ++i) {
    require(a.pairs[i].a == b.pairs[i].a && a.pairs[i].b == b.pairs[i].b);
  }
}

void check_written(const Adapter& adapter, const ModelConfig& model, const fs::path& folder) {
  write_adapter(folder, adapter, AdapterFormat::kBoth);
  const Adapter peft = read_adapter(folder, model);
  require_same(peft, adapter);
  require(peft.lora.alpha == adapter.lora.alpha);
  require_same(read_adapter(folder / "mlx", model), adapter);
}

std::string tensors_file(const Input& input) {
  if ((input.choices & kWholeFile) != 0) return std::string(input.rest);
  const std::uint64_t length = input.rest.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  file += input.rest;
  // 0x3d3d is a finite number in each of the formats.
  return file + std::string(input.data_bytes, '\x3d');
}

void try_input(Input input) {
  static const TemporaryFolder kFolder;
  const fs::path folder = kFolder.path() / "read";
  fs::remove_all(folder);
  fs::create_directories(folder);
  const std::size_t config = std::min<std::size_t>(input.config_bytes, input.rest.size());
  put_file(folder / kAdapterConfig, input.rest.substr(0, config));
  input.rest.remove_prefix(config);
  const fs::path tensors = folder / ((input.choices & kMlxFile) != 0 ? kMlxTensors : kPeftTensors);
  put_file(tensors, tensors_file(input));
  const ModelConfig& base = model((input.choices & kFusedModel) != 0);
  only_bad_input([&] {
    AnyAdapter any = read_any_adapter((input.choices & kNamedFile) != 0 ? tensors : folder, base);
    check(any, base);
    const Adapter adapter = as_trainable(std::move(any), base, "fuzz");
    check(adapter, base);
    check_written(adapter, base, kFolder.path() / "written");
  });
}

}  // namespace
}  // namespace loadline

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 5) return 0;
  loadline::Input input{.choices = data[0],
                        .rest = {reinterpret_cast<const char*>(data) + 5, size - 5}};
  std::memcpy(&input.config_bytes, data + 1, 2);
  std::memcpy(&input.data_bytes, data + 3, 2);
  loadline::try_input(input);
  return 0;
}
