// loadline train: LoRA training with the proven configuration.
#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/adapter.h"
#include "commands/command.h"
#include "commands/options.h"
#include "commands/paths.h"
#include "commands/train_choice.h"
#include "commands/train_view.h"
#include "commands/workload.h"
#include "machine/interrupt.h"
#include "machine/process_memory.h"
#include "training/trainer.h"

namespace loadline {
namespace {

struct TrainOptions {
  WorkloadOptions workload;
  GivenFlags given;
  bool conservative = false;
  std::int64_t max_steps = 1000;
  double learning_rate = 1e-4;
  std::int64_t warmup_steps = 0;
  std::string schedule = "cosine";
  double weight_decay = 0;
  double max_grad_norm = 1;
  std::int64_t accumulation = 1;
  bool no_shuffle = false;
  std::int64_t steps_per_report = 10, steps_per_eval = 200, eval_batches = 0, save_every = 100;
  std::string adapter_path = "adapters", adapter_format = "peft";
  std::optional<std::string> resume_adapter;
  bool resume = false;
};

LearningRateSchedule schedule_of(const std::string& word) {
  if (word == "constant") return LearningRateSchedule::kConstant;
  if (word == "linear") return LearningRateSchedule::kLinear;
  if (word == "cosine") return LearningRateSchedule::kCosine;
  throw usage_error("--lr-schedule {}: should be constant, linear or cosine", word);
}

// Rank, layers, targets and alpha come from the adapter; a flag that says otherwise is a
// contradiction.
void take_adapter(Workload& workload, TrainOptions& options) {
  const LoraSettings lora = read_adapter(*options.resume_adapter, workload.model).lora;
  const auto agree = [&](const char* flag, std::optional<std::int64_t>& given, std::int64_t value) {
    if (given && *given != value && !(*given == -1 && value == workload.model.layers)) {
      throw usage_error("{} {}: the adapter {} has {}", flag, *given, *options.resume_adapter,
                        value);
    }
    given = value;
  };
  agree("--lora-rank", options.given.lora_rank, lora.rank);
  agree("--lora-layers", options.given.lora_layers, lora.layers);
  workload.base.lora.targets = lora.targets;
  workload.lora_alpha = lora.alpha;
  workload.base.resume_adapter_file = *options.resume_adapter;
}

TrainingSettings settings_of(const TrainOptions& options, const Workload& workload,
                             const Configuration& chosen) {
  TrainingSettings settings =
      workload.with(chosen.batch_size, chosen.lora_rank, chosen.lora_layers);
  settings.grad_accumulation_steps = options.accumulation;
  settings.max_steps = options.max_steps;
  settings.learning_rate = options.learning_rate;
  settings.warmup_steps = options.warmup_steps;
  settings.schedule = schedule_of(options.schedule);
  settings.weight_decay = options.weight_decay;
  settings.max_grad_norm = options.max_grad_norm;
  settings.order = options.no_shuffle ? RowOrder::kFile : RowOrder::kShuffled;
  settings.steps_per_report = options.steps_per_report;
  settings.steps_per_eval = options.steps_per_eval;
  settings.eval_batches = options.eval_batches;
  settings.save_every = options.save_every;
  settings.adapter_path = std::filesystem::absolute(options.adapter_path);
  settings.adapter_format = parse_adapter_format(options.adapter_format);
  settings.resume = options.resume;
  return settings;
}

// What would fit instead: the largest smaller batch, and checkpointing where it is off.
std::string way_out(const Workload& workload, const TrainingSettings& settings, Bytes budget,
                    double margin) {
  std::string text;
  TrainingSettings other = settings;
  if (settings.checkpointing == ActivationCheckpointing::kOff) {
    other.checkpointing = ActivationCheckpointing::kOn;
    text += fmt::format("\n  --grad-checkpoint on would need {}",
                        to_string(adjusted(workload.plan(other).total().bytes, margin)));
    other.checkpointing = settings.checkpointing;
  }
  for (other.batch_size = settings.batch_size - 1; other.batch_size > 0; --other.batch_size) {
    const Bytes needed = adjusted(workload.plan(other).total().bytes, margin);
    if (needed > budget && other.batch_size > 1) continue;
    return text +
           fmt::format("\n  --batch-size {} would need {}", other.batch_size, to_string(needed));
  }
  return text;
}

// All memory is planned before it is taken: a run that cannot fit is refused here, not at step
// 35,000.
void require_fit(const Workload& workload, const TrainingSettings& settings, const Budget& budget,
                 double margin) {
  const Bytes total = workload.plan(settings).total().bytes;
  const Bytes needed = adjusted(total, margin);
  if (needed <= budget.bytes) return;
  throw Error(
      ErrorKind::kDoesNotFit,
      fmt::format(
          "batch {} at rank {} on {} layers does not fit: planned {} and {:.0f} % margin make {}, "
          "the "
          "budget is {} ({}).{}\n  `loadline plan` shows every line; --margin changes the margin.",
          settings.batch_size, settings.lora.rank, settings.lora.layers, to_string(total),
          margin * 100, to_string(needed), to_string(budget.bytes), budget.binds,
          way_out(workload, settings, budget.bytes, margin)));
}

ProfileMatch find_profile(const Workload& workload, const MachineFacts& machine, std::FILE* out) {
  std::vector<std::string> warnings;
  const std::vector<Profile> profiles = list_profiles(profile_folder(), warnings);
  for (const std::string& warning : warnings) fmt::print(out, "{}\n", warning);
  ProfileKey key = workload.profile_key(machine);
  ProfileMatch match = match_profile(profiles, key);
  if (match.profile || !workload.checkpointing_auto) return match;
  key.grad_checkpoint = true;  // auto takes what was proven, with or without
  ProfileMatch with = match_profile(profiles, key);
  return with.profile ? with : match;
}

int exit_code_of(const TrainingEnd& end) {
  switch (end.reason) {
    case TrainingEnd::Reason::kDone:
      return 0;
    case TrainingEnd::Reason::kDiverged:
      fmt::print(stderr,
                 "loadline: {}. The adapter on disk is the last good one; try a smaller "
                 "--learning-rate.\n",
                 end.detail);
      return 1;
    case TrainingEnd::Reason::kInterrupted:
      fmt::print(stderr, "loadline: interrupted after step {}; what was trained is saved.\n",
                 end.step);
      return 3;
  }
  return 3;
}

int run_train(TrainOptions options) {
  if (options.workload.data.empty() && !options.workload.demo)
    throw usage_error("--data FILE is missing");
  std::FILE* out = options.workload.json ? stderr : stdout;
  const MachineFacts machine = read_machine();
  Workload workload = prepare_workload(options.workload, machine, out);
  if (options.resume_adapter) take_adapter(workload, options);
  const bool all_given =
      options.given.batch_size && options.given.lora_rank && options.given.lora_layers;
  const ProfileMatch match = all_given ? ProfileMatch{} : find_profile(workload, machine, out);
  const TrainChoice choice =
      choose_configuration(options.given, match, options.conservative, workload.model);
  for (const std::string& note : choice.notes) fmt::print(out, "{}\n", note);
  TrainingSettings settings = settings_of(options, workload, choice.configuration);
  validate(settings, workload.model);
  const Budget budget = compute_budget(machine.memory, options.workload.limit());
  if (match.profile && workload.checkpointing_auto) {
    settings.checkpointing = match.profile->key.grad_checkpoint ? ActivationCheckpointing::kOn
                                                                : ActivationCheckpointing::kOff;
  } else {
    choose_checkpointing(workload, settings, budget.bytes, options.workload.margin);
  }
  require_fit(workload, settings, budget, options.workload.margin);
  require_writable_folder(settings.adapter_path);

  fmt::print(out, "Training: {}\n", choice.source);
  fmt::print(out, "Effective batch: {} x {} accumulation = {} rows, compute {}, checkpointing {}\n",
             settings.batch_size, settings.grad_accumulation_steps,
             settings.batch_size * settings.grad_accumulation_steps, name_of(settings.compute),
             settings.checkpointing == ActivationCheckpointing::kOn ? "on" : "off");
  if (!workload.distrust_note.empty()) fmt::print(out, "{}\n", workload.distrust_note);
  catch_interrupts();
  TrainView view(settings, out);
  const TrainingHost host{.peak_memory = [] { return read_own_memory().peak; },
                          .stop_requested = interrupted};
  const TrainingEnd end = run_training(settings, host, view);
  if (options.workload.json) fmt::print("{}\n", view.document(end).dump(2));
  return exit_code_of(end);
}

}  // namespace

CommandFunction add_train(Flags flags) {
  const auto options = std::make_shared<TrainOptions>();
  add_model_flags(flags, options->workload);
  add_data_flags(flags, options->workload);
  add_lora_flags(flags, options->workload);
  add_distrust_flags(flags, options->workload);
  add_memory_flags(flags, options->workload);
  flags.toggle("--demo", options->workload.demo, "The embedded model and data");
  flags.value("--batch-size", options->given.batch_size, "Rows of a micro-batch");
  flags.value("--lora-rank", options->given.lora_rank, "LoRA rank");
  flags.value("--lora-layers,--num-layers", options->given.lora_layers,
              "The last N layers; -1: all");
  flags.toggle("--conservative", options->conservative,
               "The guide's table where no profile matches; untested here");
  flags.value("--max-steps,--iters", options->max_steps, "Optimizer updates");
  flags.value("--learning-rate", options->learning_rate, "Peak rate");
  flags.value("--warmup-steps", options->warmup_steps, "Linear warm-up");
  flags.value("--lr-schedule", options->schedule, "constant, linear or cosine");
  flags.value("--weight-decay", options->weight_decay, "Decoupled, as in AdamW");
  flags.value("--max-grad-norm", options->max_grad_norm, "Clip the gradient's norm; 0: do not");
  flags.value("--grad-accumulation-steps", options->accumulation, "Micro-batches of an update");
  flags.toggle("--no-shuffle", options->no_shuffle, "Rows in the order of the file");
  flags.value("--steps-per-report", options->steps_per_report, "A line every N updates");
  flags.value("--steps-per-eval", options->steps_per_eval,
              "Validation every N updates; 0: at the end");
  flags.value("--val-batches", options->eval_batches, "Validation batches; 0: all");
  flags.value("--save-every", options->save_every, "Save every N updates; 0: at the end");
  flags.value("--adapter-path", options->adapter_path, "Folder of the adapter and metrics.jsonl");
  flags.value("--adapter-format", options->adapter_format,
              "Of the adapter: peft, mlx (mlx-lm) or both");
  flags.value("--resume-adapter-file", options->resume_adapter,
              "Start from this adapter: its .safetensors or folder");
  flags.toggle("--resume", options->resume,
               "Continue the run in --adapter-path from its last checkpoint");
  return [options] { return run_train(*options); };
}

}  // namespace loadline
