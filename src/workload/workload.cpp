#include "workload/workload.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/counted.h"
#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "checkpoint/weights.h"
#include "kernels/wide_product.h"
#include "report/machine_name.h"
#include "report/model_name.h"
#include "report/print.h"
#include "training/readiness.h"
#include "training/trainer.h"
#include "workload/cache.h"
#include "workload/cut_rows.h"
#include "workload/demo.h"
#include "workload/model_source.h"
#include "workload/packing.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kDefaultSequence = 2048;

}  // namespace

DType resolve_compute(const std::string& word) {
  return word == "bf16" || (word == "auto" && bf16_pays()) ? DType::kBf16 : DType::kF32;
}

namespace {

std::int64_t resolve_sequence(const WorkloadOptions& options, const ModelConfig& model) {
  const std::vector<std::int64_t> lengths = options.sequences();
  if (lengths.empty()) return std::min(kDefaultSequence, model.max_positions);
  if (lengths.back() > model.max_positions) {
    throw usage_error("--max-seq-length {}: the model has {} positions", lengths.back(),
                      model.max_positions);
  }
  return lengths.back();
}

// For good where rows are cut to the longest length that is asked for; to the shortest, some must
// be left.
void leave_out_cut_rows(std::optional<PackedSplit>& split, std::int64_t shortest,
                        std::int64_t longest, std::FILE* out) {
  if (!split) return;
  require_targets(split->rows, split->source, shortest);
  split->rows = split->rows.within(longest);
  split->report = report_of(split->rows);
  if (split->report.cut_away == 0) return;
  const std::int64_t rows = split->report.cut_away;
  tell(out, "{}: {} left out: no token to predict within {} tokens\n", split->source.string(),
       counted(rows, "row") + (rows == 1 ? " is" : " are"), longest);
}

void leave_out_cut_rows(Workload& workload, const WorkloadOptions& options, std::FILE* out) {
  const std::int64_t longest = resolve_sequence(options, workload.model);
  const std::vector<std::int64_t> lengths = options.sequences();
  const std::int64_t shortest = lengths.empty() ? longest : lengths.front();
  for (std::optional<PackedSplit>* split : {&workload.train, &workload.valid, &workload.test}) {
    leave_out_cut_rows(*split, shortest, longest, out);
  }
}

// Alpha and lambda are factors of the additive term alone.
void refuse_without_effect(const char* flag, std::optional<double> given, DistrustMode mode,
                           bool carried) {
  if (!given || (mode == DistrustMode::kAdditive && carried)) return;
  throw usage_error("{} {}: has no effect, as {}. Leave it out", flag, *given,
                    mode == DistrustMode::kAdditive
                        ? "no row carries auth_weight and prov_entropy"
                        : fmt::format("--distrust is {}", name_of(mode)));
}

DistrustSettings resolve_distrust(const WorkloadOptions& options,
                                  const std::optional<PackedSplit>& train) {
  const bool carried = train && train->report.with_provenance > 0;
  const std::string word = options.distrust.value_or(carried ? "additive" : "off");
  if (word != "off" && train && !carried) {
    throw usage_error("--distrust {}: no row of {} carries auth_weight and prov_entropy", word,
                      train->source.string());
  }
  const DistrustMode mode = word == "off"        ? DistrustMode::kOff
                            : word == "additive" ? DistrustMode::kAdditive
                                                 : DistrustMode::kWeighted;
  refuse_without_effect("--distrust-alpha", options.distrust_alpha, mode, carried);
  refuse_without_effect("--distrust-lambda", options.distrust_lambda, mode, carried);
  const DistrustSettings usual;
  return {.mode = mode,
          .alpha = options.distrust_alpha.value_or(usual.alpha),
          .lambda = options.distrust_lambda.value_or(usual.lambda)};
}

std::string distrust_note(const WorkloadOptions& options, const std::optional<PackedSplit>& train) {
  if (!train || options.distrust == "off") return "";
  const std::int64_t without = train->report.rows - train->report.with_provenance;
  if (without == 0 || without == train->report.rows) return "";
  return fmt::format(
      "Distrust is off for {} of {} rows: they carry no auth_weight and prov_entropy.", without,
      train->report.rows);
}

TrainingSettings base_settings(const WorkloadOptions& options, const Workload& workload,
                               const MachineFacts& machine) {
  TrainingSettings settings;
  settings.model = workload.model_folder;
  if (workload.hub_model) {
    settings.base_model = workload.hub_model->repository;
    if (!workload.hub_model->is_main()) settings.base_revision = workload.hub_model->revision;
  }
  if (workload.train) settings.train_rows = workload.train->packed;
  if (workload.valid) settings.valid_rows = workload.valid->packed;
  settings.max_seq_length = resolve_sequence(options, workload.model);
  settings.lora.targets =
      parse_targets(options.target_modules.value_or("attention"), workload.model);
  settings.lora.dropout = options.lora_dropout;
  settings.compute = resolve_compute(options.compute_dtype);
  settings.checkpointing = options.grad_checkpoint == "on" ? ActivationCheckpointing::kOn
                                                           : ActivationCheckpointing::kOff;
  settings.quantize = options.quantize == "nf4" ? Quantization::kNf4 : Quantization::kNone;
  settings.threads = machine.cpu.usable;
  settings.distrust = resolve_distrust(options, workload.train);
  settings.seed = options.seed;
  settings.generated_weights = options.generated_weights;
  return settings;
}

// Lengths are of the rows as they are, before the cut and what is left out for it.
Json split_document(const PackedSplit& split, std::int64_t max_seq_length) {
  const LengthHistogram lengths(rows_as_they_are(split));
  Json classes = Json::array();
  for (const LengthClass& c : length_classes(lengths)) {
    classes.push_back({{"from", c.from}, {"to", c.to}, {"rows", c.rows}});
  }
  const CutRows cut = cut_rows(split, max_seq_length);
  return {{"path", fs::absolute(split.source).string()},
          {"rows", split.report.rows},
          {"tokens", split.report.tokens},
          {"tokens_in_loss", split.rows.in_loss_within(max_seq_length)},
          {"longest_row", lengths.longest()},
          {"rows_truncated", cut.longer},
          {"tokens_truncated", cut.lost},
          {"median_row", lengths.percentile(0.5)},
          {"p90_row", lengths.percentile(0.9)},
          {"p99_row", lengths.percentile(0.99)},
          {"rows_with_distrust", split.report.with_provenance},
          {"rows_too_short", split.report.too_short},
          {"rows_cut_away", split.report.cut_away},
          {"bad_lines", split.report.bad},
          {"lengths", std::move(classes)}};
}

// Quantizing takes a while, and each trial needs the weights: the first one keeps them.
void keep_prepared_weights(Workload& workload, std::FILE* out) {
  workload.base.prepared_weights =
      prepared_weights_of(WeightFiles(workload.model_folder),
                          {.compute = workload.base.compute, .quantize = workload.base.quantize});
  const fs::path& kept = *workload.base.prepared_weights;
  std::error_code error;
  if (fs::exists(kept, error)) return;
  try {
    require_writable_folder(kept.parent_path());
    tell(out, "The quantized weights will be kept in {}; it may be removed.\n", kept.string());
  } catch (const Error& refusal) {
    tell(out,
         "{}\nSo the quantized weights cannot be kept: each trial and run makes them anew. "
         "XDG_CACHE_HOME names a place for the cache\n",
         refusal.what());
  }
}

}  // namespace

TrainingSettings configured(TrainingSettings base, const Configuration& c) {
  base.batch_size = c.batch_size;
  base.lora.rank = c.lora_rank;
  base.lora.layers = c.lora_layers;
  if (c.sequence > 0) base.max_seq_length = c.sequence;
  if (c.checkpointing != Configuration::kNotCompared) {
    base.checkpointing =
        c.checkpointing == 1 ? ActivationCheckpointing::kOn : ActivationCheckpointing::kOff;
  }
  return base;
}

TrainingSettings Workload::with(std::int64_t batch_size, std::int64_t rank,
                                std::int64_t layers) const {
  return with(Configuration{batch_size, rank, layers});
}

TrainingSettings Workload::with(const Configuration& configuration) const {
  TrainingSettings settings = configured(base, configuration);
  const auto rank = static_cast<double>(configuration.lora_rank);
  settings.lora.alpha = lora_alpha.value_or(2.0 * rank);
  // The same effect as alpha / sqrt(rank), in the terms that every reader of adapters knows.
  if (rslora && rank > 0) settings.lora.alpha *= std::sqrt(rank);
  return settings;
}

StepShape Workload::shape_of(const TrainingSettings& settings) const {
  if (train) {
    return step_shape(settings, train->rows, valid ? &valid->rows : nullptr,
                      test ? &test->rows : nullptr);
  }
  return {.tokens = settings.batch_size * settings.max_seq_length,
          .rows = settings.batch_size,
          .longest_row = settings.max_seq_length,
          .compute = settings.compute,
          .checkpointing = settings.checkpointing,
          .quantize = settings.quantize,
          .threads = settings.threads};
}

MemoryPlan Workload::plan(const TrainingSettings& settings) const {
  return plan_memory(model, settings.lora, shape_of(settings));
}

std::string Workload::model_text() const {
  return hub_model ? hub_model->text() : fs::absolute(model_folder).string();
}

std::string Workload::run_name() const {
  constexpr std::size_t kLongest = 100;
  if (is_demo) return "demo";
  const std::string name = plain_name(model_name(model_text())).substr(0, kLongest);
  return name.empty() ? "model" : name;
}

Json Workload::model_document() const {
  return {{"name", model_text()},
          {"path", fs::absolute(model_folder).lexically_normal().string()},
          {"model_type", model.model_type},
          {"layers", model.layers},
          {"hidden_size", model.hidden_size},
          {"vocab_size", model.vocab_size},
          {"max_positions", model.max_positions}};
}

Json Workload::data_document() const {
  if (!train) return nullptr;
  Json document = split_document(*train, base.max_seq_length);
  document["max_seq_length"] = base.max_seq_length;
  if (valid) document["valid"] = split_document(*valid, base.max_seq_length);
  if (test) document["test"] = split_document(*test, base.max_seq_length);
  return document;
}

std::string Workload::shape_fingerprint() const {
  return "shape " + sha256_hex(read_file(model_folder / "config.json", 16_MiB));
}

ProfileKey Workload::profile_key(const MachineFacts& machine,
                                 const TrainingSettings& settings) const {
  ProfileKey key;
  key.machine = machine_name(machine.cpu.model, machine.cpu.usable, machine.memory.total);
  key.memory = machine.memory.total;
  key.model =
      settings.generated_weights ? shape_fingerprint() : WeightFiles(model_folder).fingerprint();
  key.data = lengths_fingerprint(*this, settings.max_seq_length);
  key.max_seq_length = settings.max_seq_length;
  key.quantize = name_of(base.quantize);
  key.compute = name_of(base.compute);
  key.grad_checkpoint =
      !checkpointing_auto && settings.checkpointing == ActivationCheckpointing::kOn;
  key.lora_dropout = settings.lora.dropout > 0;
  for (const Projection target : base.lora.targets)
    key.target_modules.emplace_back(name_of(target));
  key.version = LOADLINE_VERSION;
  return key;
}

fs::path model_folder_of(const WorkloadOptions& options, ModelParts parts) {
  if (options.demo && !options.model.empty()) {
    throw usage_error("--demo brings a model of its own, and --model {} names another: give one",
                      options.model);
  }
  if (options.demo) return demo_model();
  if (options.model.empty()) throw usage_error("--model DIR or ORG/NAME is missing");
  return resolve_model(options.model, parts);
}

Workload prepare_workload(const WorkloadOptions& options, const MachineFacts& machine,
                          std::FILE* out, ModelParts parts) {
  validate(options);
  Workload workload;
  workload.model_folder = model_folder_of(options, parts);
  workload.is_demo = options.demo;
  if (!options.demo) workload.hub_model = named_on_hub(options.model);
  workload.model = read_config(workload.model_folder);
  const std::string data =
      options.demo && options.data.empty() ? demo_data().string() : options.data;
  if (!data.empty()) pack_workload(workload, options, data, out);
  leave_out_cut_rows(workload, options, out);
  workload.checkpointing_auto = options.grad_checkpoint == "auto";
  workload.lora_alpha = options.lora_alpha;
  workload.rslora = options.rslora;
  workload.train_flags = words_for_train(options);
  workload.base = base_settings(options, workload, machine);
  if (workload.base.quantize != Quantization::kNone && parts == ModelParts::kAll) {
    keep_prepared_weights(workload, out);
  }
  workload.distrust_note = distrust_note(options, workload.train);
  return workload;
}

void choose_checkpointing(const Workload& workload, TrainingSettings& settings, Bytes budget,
                          double margin) {
  if (!workload.checkpointing_auto) return;
  settings.checkpointing = ActivationCheckpointing::kOff;
  if (adjusted(workload.plan(settings).total().bytes, margin) > budget) {
    settings.checkpointing = ActivationCheckpointing::kOn;
  }
}

}  // namespace loadline
