// TrainingSettings as JSON: what a worker reads, and what a checkpoint keeps.
#include <algorithm>
#include <array>
#include <span>

#include "base/error.h"
#include "base/json.h"
#include "training/settings.h"

namespace loadline {
namespace {

constexpr int kSettingsVersion = 1;

constexpr std::array kSchedules{LearningRateSchedule::kConstant, LearningRateSchedule::kLinear,
                                LearningRateSchedule::kCosine};
constexpr std::array kModes{DistrustMode::kOff, DistrustMode::kAdditive, DistrustMode::kWeighted};
constexpr std::array kOrders{RowOrder::kShuffled, RowOrder::kFile, RowOrder::kWorstFirst,
                             RowOrder::kBalanced};
constexpr std::array kFormats{AdapterFormat::kPeft, AdapterFormat::kMlx, AdapterFormat::kBoth};
constexpr std::array kComputes{DType::kF32, DType::kBf16};
constexpr std::array kQuantizations{Quantization::kNone, Quantization::kNf4};

// Reads one document; every key that it is asked for is known, all others are refused at the end.
class SettingsReader {
 public:
  SettingsReader(const Json& document, const std::string& source)
      : document_(document), source_(source) {
    if (!document.is_object()) throw bad_input("{}: the settings are not a JSON object", source);
  }

  std::int64_t integer(std::string_view key) { return json_int(document_, known(key), source_); }
  double number(std::string_view key) { return json_number(document_, known(key), source_); }
  bool boolean(std::string_view key) { return json_bool(document_, known(key), source_); }
  std::string text(std::string_view key) { return json_string(document_, known(key), source_); }

  std::optional<std::filesystem::path> path_if_any(std::string_view key) {
    if (json_find(document_, known(key)) == nullptr) return std::nullopt;
    return text(key);
  }

  std::uint64_t seed(std::string_view key) {
    const Json* value = json_find(document_, known(key));
    if (value != nullptr && value->is_number_unsigned()) return value->get<std::uint64_t>();
    const std::int64_t signed_seed = json_int(document_, key, source_);
    if (signed_seed < 0) throw bad_input("{}: '{}' is {}, below 0", source_, key, signed_seed);
    return static_cast<std::uint64_t>(signed_seed);
  }

  int small_integer(std::string_view key) {
    const std::int64_t value = integer(key);
    if (value < INT32_MIN || value > INT32_MAX) {
      throw bad_input("{}: '{}' is {}, out of range", source_, key, value);
    }
    return static_cast<int>(value);
  }

  template <typename Enum>
  Enum choice(std::string_view key, std::span<const Enum> choices) {
    const std::string name = text(key);
    std::string names;
    for (const Enum value : choices) {
      if (name_of(value) == name) return value;
      names += names.empty() ? "" : ", ";
      names += name_of(value);
    }
    throw bad_input("{}: '{}' is '{}', but must be one of {}", source_, key, name, names);
  }

  std::vector<Projection> targets(std::string_view key) {
    try {
      return parse_projections(text(key));
    } catch (const Error& error) {
      throw bad_input("{}: '{}': {}", source_, key, error.what());
    }
  }

  void refuse_unknown() const {
    for (const auto& [key, value] : document_.items()) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) {
        throw bad_input("{}: unknown setting '{}'", source_, key);
      }
    }
  }

 private:
  std::string_view known(std::string_view key) {
    known_.emplace_back(key);
    return key;
  }

  const Json& document_;
  const std::string& source_;
  std::vector<std::string> known_;
};

Json path_or_null(const std::optional<std::filesystem::path>& path) {
  return path ? Json(path->string()) : Json(nullptr);
}

void read_run(SettingsReader& in, TrainingSettings& s) {
  s.model = in.text("model");
  s.train_rows = in.text("train_rows");
  s.valid_rows = in.path_if_any("valid_rows");
  s.prepared_weights = in.path_if_any("prepared_weights");
  s.test_rows = in.path_if_any("test_rows");
  s.adapter_path = in.text("adapter_path");
  s.adapter_format = in.choice<AdapterFormat>("adapter_format", kFormats);
  s.resume_adapter_file = in.path_if_any("resume_adapter_file");
  s.resume = in.boolean("resume");
  s.batch_size = in.integer("batch_size");
  s.grad_accumulation_steps = in.integer("grad_accumulation_steps");
  s.max_steps = in.integer("max_steps");
  s.max_seq_length = in.integer("max_seq_length");
  s.steps_per_report = in.integer("steps_per_report");
  s.steps_per_eval = in.integer("steps_per_eval");
  s.eval_batches = in.integer("eval_batches");
  s.save_every = in.integer("save_every");
  s.keep_checkpoints = in.integer("keep_checkpoints");
  s.trunk_cache = in.boolean("trunk_cache");
  s.threads = in.small_integer("threads");
  s.seed = in.seed("seed");
}

void read_method(SettingsReader& in, TrainingSettings& s) {
  s.lora.rank = in.integer("lora_rank");
  s.lora.alpha = in.number("lora_alpha");
  s.lora.layers = in.integer("lora_layers");
  s.lora.targets = in.targets("target_modules");
  s.lora.dropout = in.number("lora_dropout");
  s.compute = in.choice<DType>("compute", kComputes);
  s.quantize = in.choice<Quantization>("quantize", kQuantizations);
  s.checkpointing =
      in.boolean("grad_checkpoint") ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff;
  s.learning_rate = in.number("learning_rate");
  s.lora_plus_ratio = in.number("lora_plus_ratio");
  s.warmup_steps = in.integer("warmup_steps");
  s.schedule = in.choice<LearningRateSchedule>("lr_schedule", kSchedules);
  s.weight_decay = in.number("weight_decay");
  s.max_grad_norm = in.number("max_grad_norm");
  s.distrust.mode = in.choice<DistrustMode>("distrust", kModes);
  s.distrust.alpha = in.number("distrust_alpha");
  s.distrust.lambda = in.number("distrust_lambda");
  s.order = in.choice<RowOrder>("order", kOrders);
  s.enough_seconds = in.number("enough_seconds");
  s.generated_weights = in.boolean("generated_weights");
}

}  // namespace

Json to_json(const TrainingSettings& s) {
  return {
      {"schema_version", kSettingsVersion},
      {"model", s.model.string()},
      {"train_rows", s.train_rows.string()},
      {"valid_rows", path_or_null(s.valid_rows)},
      {"prepared_weights", path_or_null(s.prepared_weights)},
      {"test_rows", path_or_null(s.test_rows)},
      {"adapter_path", s.adapter_path.string()},
      {"adapter_format", std::string(name_of(s.adapter_format))},
      {"resume_adapter_file", path_or_null(s.resume_adapter_file)},
      {"resume", s.resume},
      {"batch_size", s.batch_size},
      {"grad_accumulation_steps", s.grad_accumulation_steps},
      {"max_steps", s.max_steps},
      {"max_seq_length", s.max_seq_length},
      {"lora_rank", s.lora.rank},
      {"lora_alpha", s.lora.alpha},
      {"lora_layers", s.lora.layers},
      {"target_modules", names_of(s.lora.targets)},
      {"lora_dropout", s.lora.dropout},
      {"compute", std::string(name_of(s.compute))},
      {"quantize", name_of(s.quantize)},
      {"grad_checkpoint", s.checkpointing == ActivationCheckpointing::kOn},
      {"threads", s.threads},
      {"learning_rate", s.learning_rate},
      {"lora_plus_ratio", s.lora_plus_ratio},
      {"warmup_steps", s.warmup_steps},
      {"lr_schedule", std::string(name_of(s.schedule))},
      {"weight_decay", s.weight_decay},
      {"max_grad_norm", s.max_grad_norm},
      {"distrust", std::string(name_of(s.distrust.mode))},
      {"distrust_alpha", s.distrust.alpha},
      {"distrust_lambda", s.distrust.lambda},
      {"seed", s.seed},
      {"order", std::string(name_of(s.order))},
      {"enough_seconds", s.enough_seconds},
      {"generated_weights", s.generated_weights},
      {"steps_per_report", s.steps_per_report},
      {"steps_per_eval", s.steps_per_eval},
      {"eval_batches", s.eval_batches},
      {"save_every", s.save_every},
      {"keep_checkpoints", s.keep_checkpoints},
      {"trunk_cache", s.trunk_cache},
  };
}

TrainingSettings training_settings_from_json(const Json& document, const std::string& source) {
  SettingsReader in(document, source);
  const std::int64_t version = in.integer("schema_version");
  if (version != kSettingsVersion) {
    throw bad_input("{}: schema_version {}, but this program reads {}", source, version,
                    kSettingsVersion);
  }
  TrainingSettings settings;
  read_run(in, settings);
  read_method(in, settings);
  in.refuse_unknown();
  return settings;
}

}  // namespace loadline
