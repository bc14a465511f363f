#include "commands/train_options.h"

#include <filesystem>

#include "base/counted.h"
#include "base/data_file.h"
#include "base/error.h"
#include "report/print.h"
#include "training/run_folder.h"
#include "training/trunk_cache.h"

namespace loadline {
namespace {

constexpr std::int64_t kDefaultSteps = 1000;
constexpr std::int64_t kDefaultStepsPerEval = 200;

LearningRateSchedule schedule_of(const std::string& word) {
  if (word == "constant") return LearningRateSchedule::kConstant;
  if (word == "linear") return LearningRateSchedule::kLinear;
  if (word == "cosine") return LearningRateSchedule::kCosine;
  throw usage_error("--lr-schedule {}: should be constant, linear or cosine", word);
}

RowOrder order_of(const TrainOptions& options) {
  const std::string batching = options.batching.value_or("shuffled");
  if (batching != "shuffled" && batching != "balanced") {
    throw usage_error("--batching {}: should be shuffled or balanced", batching);
  }
  if (options.no_shuffle && options.batching) {
    throw usage_error(
        "--no-shuffle keeps the file's order and --batching {} makes another: leave one out",
        batching);
  }
  if (options.no_shuffle) return RowOrder::kFile;
  return batching == "balanced" ? RowOrder::kBalanced : RowOrder::kShuffled;
}

void add_configuration_flags(Flags flags, TrainOptions& options) {
  flags = flags.under("Configuration (from the saved profile where not given)");
  flags.value("--batch-size", options.given.batch_size, "Rows of a micro-batch");
  flags.value("--lora-rank", options.given.lora_rank, "LoRA rank");
  flags.layers("--lora-layers,--num-layers", options.given.lora_layers,
               "The last N layers; -1 or all: all");
  flags.value(
      "--profile NAME", options.profile,
      "The profile to take, as `profile list` names it; else a search's newest that matches");
  flags.toggle("--conservative", options.conservative,
               "The guide's table where no profile matches; untested here");
  flags.toggle("--verify", options.verify,
               "Prove the configuration here by one trial first, and save its profile");
}

void add_schedule_flags(Flags flags, TrainOptions& options) {
  flags = flags.under("Schedule");
  flags.value("--max-steps,--iters", options.max_steps,
              "Optimizer updates (mlx-lm's --iters are micro-batches); 1000 when not given");
  flags.value("--epochs", options.epochs, "In place of --max-steps: how often each row is used");
  flags.value("--grad-accumulation-steps", options.accumulation, "Micro-batches of an update");
  flags.value("--learning-rate", options.learning_rate, "Peak rate");
  flags.value("--lr-schedule constant|linear|cosine", options.schedule,
              "How the rate falls to 0; constant: it stays");
  flags.value("--warmup-steps", options.warmup_steps, "Linear warm-up");
  flags.value("--lora-plus-ratio", options.lora_plus_ratio,
              "LoRA+: the B matrices learn this many times as fast");
  flags.value("--weight-decay", options.weight_decay, "Decoupled, as in AdamW");
  flags.value("--max-grad-norm", options.max_grad_norm, "Clip the gradient's norm; 0: do not");
  flags.toggle("--no-shuffle", options.no_shuffle, "Rows in the order of the file");
  flags.value("--batching shuffled|balanced", options.batching,
              "shuffled when not given; balanced: batches of about the same number of tokens");
}

void add_evaluation_flags(Flags flags, TrainOptions& options) {
  flags = flags.under("Progress and evaluation");
  flags.value("--steps-per-report", options.steps_per_report, "A line every N updates");
  flags.value("--steps-per-eval", options.steps_per_eval,
              "Validation every N updates, 200 when not given; 0: at the end");
  flags.value("--val-batches", options.eval_batches, "Validation batches; 0, -1 or not given: all");
  flags.value("--early-stopping-patience", options.patience,
              "End after N evaluations in a row that are no better than the best; best/ has that");
  flags.toggle("--test", options.workload.with_test,
               "Evaluate on test.jsonl beside the data after the last update");
  flags.value("--test-data FILE", options.workload.test_data,
              "The rows of --test, where they lie elsewhere");
}

void add_checkpoint_flags(Flags flags, TrainOptions& options) {
  flags = flags.under("Adapter and checkpoints");
  flags.value("--adapter-path DIR", options.adapter_path,
              "Folder of the adapter, its checkpoints and metrics.jsonl");
  flags.value("--adapter-format peft|mlx|both", options.adapter_format,
              "Of the adapter; mlx is mlx-lm's");
  flags.value("--save-every", options.save_every,
              "A checkpoint every N updates, and every 15 minutes; 0: at the end");
  flags.value("--keep-checkpoints", options.keep_checkpoints, "How many of them stay");
  flags.toggle("--resume", options.resume,
               "Continue the run in --adapter-path from its last checkpoint");
  flags.value("--resume-adapter-file FILE|DIR", options.resume_adapter,
              "A new run from this adapter: its .safetensors or folder");
}

void add_trunk_flags(Flags flags, TrainOptions& options) {
  flags = flags.under(kMemoryAndSpeed);
  flags.value("--trunk-cache on|off", options.trunk_cache,
              "on: from the second epoch on the layers below LoRA are read from the disk");
  flags.value("--trunk-cache-limit SIZE", options.trunk_cache_limit,
              "The most that it may need there, for example 20GiB");
}

// From the table or from the profile that was asked for.
void require_something_to_take(const TrainOptions& options) {
  const GivenFlags& given = options.given;
  const bool has_shape = options.resume_adapter || (given.lora_rank && given.lora_layers);
  if (!given.batch_size || !has_shape) return;
  const char* const all = options.resume_adapter
                              ? "--batch-size is given, and --resume-adapter-file has rank and "
                                "layers, which"
                              : "--batch-size, --lora-rank and --lora-layers are all given, which";
  if (options.conservative) {
    throw usage_error("--conservative: {} leaves nothing to take from its table", all);
  }
  if (options.profile) {
    throw usage_error("--profile {}: {} leaves nothing to take from it", *options.profile, all);
  }
}

}  // namespace

void add_train_flags(Flags flags, TrainOptions& options) {
  add_model_flags(flags, options.workload);
  add_data_flags(flags, options.workload);
  add_demo_flag(flags, options.workload, "The embedded model and data");
  add_configuration_flags(flags, options);
  add_lora_flags(flags, options.workload);
  add_schedule_flags(flags, options);
  add_evaluation_flags(flags, options);
  add_checkpoint_flags(flags, options);
  add_memory_flags(flags, options.workload);
  add_trunk_flags(flags, options);
  add_distrust_flags(flags, options.workload);
}

void validate(const TrainOptions& options) {
  require_model_and_data(options.workload);
  if (options.epochs && options.max_steps) {
    throw usage_error("--epochs {} and --max-steps {} both say how long to train: give one",
                      *options.epochs, *options.max_steps);
  }
  if (options.epochs && (*options.epochs < 1 || *options.epochs > 1'000'000)) {
    throw usage_error("--epochs {}: must be between 1 and 1000000", *options.epochs);
  }
  require_something_to_take(options);
  if (options.workload.test_data && !options.workload.with_test) {
    throw usage_error("--test-data {}: is read with --test only", *options.workload.test_data);
  }
  if (options.patience && options.steps_per_eval == 0) {
    throw usage_error(
        "--early-stopping-patience {}: --steps-per-eval 0 evaluates at the end alone. Give "
        "another, "
        "or leave one out",
        *options.patience);
  }
  if (options.patience && *options.patience < 1) {
    throw usage_error("--early-stopping-patience {}: should be at least 1", *options.patience);
  }
  if (options.trunk_cache != "on" && options.trunk_cache != "off") {
    throw usage_error("--trunk-cache {}: should be on or off", options.trunk_cache);
  }
  if (options.trunk_cache_limit && options.trunk_cache == "off") {
    throw usage_error("--trunk-cache-limit {}: there is a limit with --trunk-cache on only",
                      *options.trunk_cache_limit);
  }
  static_cast<void>(schedule_of(options.schedule));
  static_cast<void>(order_of(options));
}

void validate(const TrainOptions& options, const Workload& workload) {
  const auto needs_validation = [&](const char* flag, const std::optional<std::int64_t>& value) {
    if (!value || workload.valid) return;
    throw usage_error(
        "{} {}: there are no validation rows. Put valid.jsonl beside the data, or give "
        "--valid-data FILE",
        flag, *value);
  };
  // 0 asks for none before the end, where there is none to be had.
  if (options.steps_per_eval != 0) needs_validation("--steps-per-eval", options.steps_per_eval);
  needs_validation("--val-batches", options.eval_batches);
  needs_validation("--early-stopping-patience", options.patience);
  if (options.workload.with_test && !workload.test) {
    throw usage_error(
        "--test: there are no test rows. Put test.jsonl beside the data, or give --test-data FILE");
  }
}

std::int64_t updates_of_epochs(std::int64_t epochs, std::int64_t rows,
                               const TrainingSettings& settings) {
  const std::int64_t update = settings.batch_size * settings.grad_accumulation_steps;
  const std::int64_t updates = (epochs * rows + update - 1) / update;
  if (updates <= kMostUpdates) return updates;
  throw usage_error(
      "--epochs {}: of {} rows are {} updates of {}, and at most {} can be made. Give --epochs {} "
      "or less",
      epochs, rows, updates, counted(update, "row"), kMostUpdates, kMostUpdates * update / rows);
}

void say_trunk_cache(const TrainOptions& options, const Workload& workload,
                     const TrainingSettings& settings, std::FILE* out) {
  if (!settings.trunk_cache) return;
  const Bytes needed = trunk_cache_bytes(settings, workload.model, workload.train->rows,
                                         workload.valid ? &workload.valid->rows : nullptr);
  Bytes free = free_disk(settings.adapter_path);
  const std::filesystem::path folder = run_folder(settings);
  if (settings.resume) free += disk_use(TrunkCache::path_in(folder));
  require_room(needed, options.trunk_cache_limit ? parse_bytes(*options.trunk_cache_limit) : needed,
               free);
  tell(out, "Trunk cache: up to {} in {} while the run lasts ({} is free)\n", to_string(needed),
       folder.string(), to_string(free));
}

TrainingSettings settings_of(const TrainOptions& options, const Workload& workload,
                             const Configuration& chosen) {
  TrainingSettings settings =
      workload.with(chosen.batch_size, chosen.lora_rank, chosen.lora_layers);
  settings.grad_accumulation_steps = options.accumulation;
  settings.max_steps = options.max_steps.value_or(kDefaultSteps);
  settings.learning_rate = options.learning_rate;
  settings.lora_plus_ratio = options.lora_plus_ratio;
  settings.warmup_steps = options.warmup_steps;
  settings.schedule = schedule_of(options.schedule);
  settings.weight_decay = options.weight_decay;
  settings.max_grad_norm = options.max_grad_norm;
  settings.order = order_of(options);
  settings.steps_per_report = options.steps_per_report;
  settings.steps_per_eval = options.steps_per_eval.value_or(kDefaultStepsPerEval);
  settings.eval_batches = options.eval_batches.value_or(0);
  if (settings.eval_batches == -1) settings.eval_batches = 0;  // mlx-lm's word for all
  settings.patience = options.patience.value_or(0);
  settings.save_every = options.save_every;
  settings.keep_checkpoints = options.keep_checkpoints;
  if (options.workload.with_test) settings.test_rows = workload.test->packed;
  settings.trunk_cache = options.trunk_cache == "on";
  settings.adapter_path = std::filesystem::absolute(options.adapter_path);
  settings.adapter_format = parse_adapter_format(options.adapter_format);
  settings.resume = options.resume;
  // Others are refused by validate().
  const auto is_countable = [](std::int64_t value) { return value >= 1 && value <= kMostBatch; };
  if (options.epochs && is_countable(settings.batch_size) &&
      is_countable(settings.grad_accumulation_steps)) {
    settings.max_steps = updates_of_epochs(*options.epochs, workload.train->report.rows, settings);
  }
  return settings;
}

}  // namespace loadline
