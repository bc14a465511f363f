// loadline train: LoRA training with the proven configuration.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/shell_quoted.h"
#include "commands/adapter_folder.h"
#include "commands/command.h"
#include "commands/train_adapter.h"
#include "commands/train_choice.h"
#include "commands/train_command.h"
#include "commands/train_options.h"
#include "commands/train_profile.h"
#include "commands/train_refusal.h"
#include "commands/train_start.h"
#include "commands/train_view.h"
#include "commands/verify.h"
#include "machine/interrupt.h"
#include "machine/memory_watch.h"
#include "machine/process_memory.h"
#include "report/print.h"
#include "training/trainer.h"
#include "workload/packing.h"
#include "workload/paths.h"
#include "workload/workload.h"

namespace loadline {
namespace {

// One trial of the chosen configuration, as the profile had it where no flag says otherwise.
void verify_choice(const TrainOptions& options, Workload& workload, const MachineFacts& machine,
                   const Budget& budget, const TrainingSettings& settings, std::FILE* out) {
  workload.base.checkpointing = settings.checkpointing;
  workload.checkpointing_auto = false;
  const SearchLimits limits{.budget = budget.bytes, .margin = options.workload.margin};
  static_cast<void>(verify(workload, machine, limits,
                           {settings.batch_size, settings.lora.rank, settings.lora.layers},
                           settings.max_steps, out));
}

std::vector<Profile> candidates(const TrainOptions& options, std::FILE* out) {
  if (options.profile) return {load_profile(profile_folder(), *options.profile)};
  std::vector<std::string> warnings;
  const auto folder = known_profile_folder();
  if (!folder) return {};
  std::vector<Profile> profiles = list_profiles(*folder, warnings);
  for (const std::string& warning : warnings) tell(out, "{}\n", warning);
  return profiles;
}

// After take_adapter(): what an adapter has is as good as given.
NamedSource named_source(const TrainOptions& options) {
  std::vector<std::string> flags;
  if (options.profile) flags.push_back("--profile " + shell_quoted(*options.profile));
  if (options.conservative) flags.emplace_back("--conservative");
  const GivenFlags& given = options.given;
  return {.flags = fmt::format("{}", fmt::join(flags, " and ")),
          .has_batch = given.batch_size.has_value(),
          .has_rank = given.lora_rank.has_value(),
          .has_layers = given.lora_layers.has_value()};
}

// What was measured outweighs the plan, and so does the trial that --verify is about to run.
void require_room(const TrainOptions& options, const Workload& workload,
                  const TrainingSettings& settings, const ProfileMatch& match, const Budget& budget,
                  std::FILE* out) {
  const double margin = options.workload.margin;
  const NamedSource source = named_source(options);
  // Trials run the worst batches that shuffling makes. Balanced ones need less, by the plan, and so
  // do shorter rows.
  const bool needs_less =
      match.profile && adjusted(match.profile->peak, margin) > budget.bytes &&
      (settings.order == RowOrder::kBalanced || is_of_longer_rows(*match.profile, settings));
  const bool proven = match.profile && proves(*match.profile, settings) && !needs_less;
  if (proven && !options.verify) {
    require_proof_within(*match.profile, workload, settings, budget, margin, out, source);
  }
  if ((proven || options.verify) && is_covered_by_trial(workload, settings)) return;
  require_fit(workload, settings, budget, margin,
              match.profile ? AskedBy::kTrainWithProfile : AskedBy::kTrain, source);
}

int exit_code_of(const TrainingEnd& end, const TrainingSettings& settings) {
  if (end.reason == TrainingEnd::Reason::kDone) return 0;
  tell(stderr, "loadline: {}.\n", end.detail);
  if (end.reason == TrainingEnd::Reason::kInterrupted && end.step > 0) {
    tell(stderr, "  {}\n", resume_command(settings.adapter_path));
  }
  return end.reason == TrainingEnd::Reason::kInterrupted ? 3 : 1;
}

TrainingEnd train(const TrainingSettings& settings, TrainView& view) {
  const SteadyClock clock;
  MemoryWatch watch(clock);
  catch_interrupts();
  const TrainingHost host{.peak_memory = [] { return read_own_memory().peak; },
                          .stop_requested = interrupted,
                          .danger = [&] { return watch.look(); }};
  return run_training(settings, host, view);
}

std::vector<std::filesystem::path> data_files(const Workload& workload) {
  std::vector<std::filesystem::path> files;
  for (const auto* split : {&workload.train, &workload.valid, &workload.test}) {
    if (*split) files.push_back(std::filesystem::absolute((*split)->source));
  }
  return files;
}

// As is said of other flags without effect. A run that is resumed has its numbers.
void require_effect_of_weights(const TrainingSettings& settings) {
  const bool is_alone = settings.batch_size * settings.grad_accumulation_steps == 1;
  if (!is_alone || settings.distrust.mode != DistrustMode::kWeighted || settings.resume) return;
  throw usage_error(
      "--distrust weighted: has no effect in updates of one row, as a row is weighed against the "
      "others of its update. Raise --batch-size or --grad-accumulation-steps, or leave it out");
}

// What nobody said of checkpointing is as the profile proved it where today's budget has room for
// that, else as the plan needs it.
TrainingSettings settled(const TrainOptions& options, const Workload& workload,
                         const ProfileMatch& match, const Configuration& chosen,
                         const Budget& budget, std::FILE* out) {
  TrainingSettings settings = settings_of(options, workload, chosen);
  validate(settings, workload.model);
  require_effect_of_weights(settings);
  const double margin = options.workload.margin;
  const bool proven = match.profile && configuration_of(*match.profile) == chosen &&
                      (!is_of_longer_rows(*match.profile, settings) ||
                       adjusted(match.profile->peak, margin) <= budget.bytes);
  if (proven && workload.checkpointing_auto) {
    take_checkpointing(*match.profile, workload, budget, margin, settings, out);
  } else {
    choose_checkpointing(workload, settings, budget.bytes, margin);
  }
  return settings;
}

int train_and_tell(const TrainingSettings& settings, const WorkloadOptions& options,
                   const Workload& workload, std::FILE* out) {
  TrainView view(settings, out, draws(out), [out] { return columns_of(out); });
  const TrainingEnd end = train(settings, view);
  view.ended(end, options.demo ? "--demo" : "--model " + shell_quoted(workload.model_text()));
  if (options.json) tell(stdout, "{}\n", view.document(end).dump(2));
  return exit_code_of(end, settings);
}

// Before data or anything else is asked for.
void require_run_to_continue(const TrainOptions& options) {
  TrainingSettings place;
  place.adapter_path = std::filesystem::absolute(options.adapter_path);
  place.resume = true;
  if (options.resume_adapter) place.resume_adapter_file = *options.resume_adapter;
  validate_resumption(place);
  require_resumable(place);
}

int run_train(const TrainCommand& typed) {
  ignore_closed_pipes();
  if (typed.options.resume) require_run_to_continue(typed.options);
  TrainCommand command = continued(typed);
  for (const std::string& flag : typed.from_file) {
    const auto& standing = command.from_file;
    const bool stands = std::find(standing.begin(), standing.end(), flag) != standing.end();
    if (!stands) forget_place_of_flag(flag);
  }
  TrainOptions& options = command.options;
  std::vector<std::string>& words = command.words;
  validate(options);
  std::FILE* out = options.workload.json ? stderr : stdout;
  for (const std::string& note : command.notes) tell(out, "{}\n", note);
  const MachineFacts machine = read_machine();
  Workload workload = prepare_workload(options.workload, machine, out);
  validate(options, workload);
  if (options.resume_adapter) take_adapter(workload, options);
  ProfileMatch match = matching_profile(candidates(options, out), options.given, workload, machine);
  if (options.verify && !options.conservative && !match.profile && match.nearest) {
    tell(out, "Profile {} was proven for something else: {}. One trial verifies it here.\n",
         match.nearest->name, fmt::join(match.differences, "; "));
    match.profile = match.nearest;
  }
  const TrainChoice choice =
      choose_configuration(options.given, match, options.conservative, workload.model, words);
  for (const std::string& note : choice.notes) tell(out, "{}\n", note);
  const Budget budget = compute_budget(machine.memory, options.workload.limit());
  const TrainingSettings settings =
      settled(options, workload, match, choice.configuration, budget, out);
  require_room(options, workload, settings, match, budget, out);
  if (!settings.resume) require_folder_of_its_own(settings.adapter_path, data_files(workload));
  const FileDescriptor held = hold_adapter_folder(settings, workload.train->rows, command.changed);
  say_trunk_cache(options, workload, settings, out);
  if (options.verify) {
    catch_interrupts();
    verify_choice(options, workload, machine, budget, settings, out);
  } else if (match.profile && match.profile->generated_weights) {
    tell(out, "Profile {} was proven with generated weights of the same shapes.\n",
         match.profile->name);
  }
  say_start(out, settings, options, workload, choice, budget);
  if (workload.template_date && !options.workload.template_date) {
    words.insert(words.end(), {"--template-date", *workload.template_date});
  }
  keep_command(words, settings, command.from_file);
  return train_and_tell(settings, options.workload, workload, out);
}

}  // namespace

CommandFunction add_train(Flags flags) {
  const auto options = std::make_shared<TrainOptions>();
  add_train_flags(flags, *options);
  return [options, flags] {
    TrainCommand command{*options, flags.typed()};
    for (const std::string& word : command.words) {
      const std::string name = word.substr(0, word.find('='));
      if (!place_of_flag(name).empty()) command.from_file.push_back(name);
    }
    GivenFlags& given = command.options.given;
    for (std::string* from : {&given.batch_from, &given.rank_from, &given.layers_from}) {
      const std::string place = place_of_flag(*from);
      if (!place.empty()) *from += ", " + place;
    }
    return run_train(command);
  };
}

}  // namespace loadline
