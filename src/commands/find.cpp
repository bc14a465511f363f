// loadline find: the largest and the fastest configuration, by really training.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "commands/binds.h"
#include "commands/command.h"
#include "commands/find_output.h"
#include "commands/find_question.h"
#include "commands/find_session.h"
#include "commands/find_words.h"
#include "commands/proven_profile.h"
#include "commands/save_question.h"
#include "commands/search_folder.h"
#include "kernels/gemm.h"
#include "machine/interrupt.h"
#include "report/print.h"
#include "report/result.h"
#include "search/evidence.h"
#include "workload/options.h"
#include "workload/paths.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

struct FindOptions {
  WorkloadOptions workload;
  std::string ranks = "32,64,96,128";
  std::optional<std::string> layers_grid;
  std::int64_t max_batch = 64;
  std::int64_t steps = 15;
  std::int64_t max_steps = 1000;  // as train has it
  std::string objective = "balanced";
  std::optional<std::string> time_limit, run_dir, output;
  bool yes = false, no_save = false, restart = false;
  bool both_checkpointings = false;  // --grad-checkpoint both
};

// The demo's whole search fits into a few minutes under this; a limit of the user's own replaces
// it.
constexpr const char* kDemoLimit = "320MiB";

void validate(const FindOptions& options) {
  if (options.max_batch < 1)
    throw usage_error("--max-batch {}: should be at least 1", options.max_batch);
  if (options.steps < 3 || options.steps > 10'000) {
    throw usage_error("--steps {}: should be between 3 and 10000; the guide takes 15",
                      options.steps);
  }
  if (options.max_steps < 1)
    throw usage_error("--max-steps {}: should be at least 1", options.max_steps);
  if (options.yes && options.no_save)
    throw usage_error("--yes saves the profile and --no-save does not: give one");
  require_model_and_data(options.workload);
}

FindQuestion question_of(const FindOptions& options, const Workload& workload,
                         const Budget& budget) {
  FindQuestion question;
  question.space = {.ranks = ranks_in(options.ranks),
                    .layers = layers_in(options.layers_grid, workload.model),
                    .max_batch = std::min(options.max_batch, workload.train->report.rows)};
  const std::vector<std::int64_t> sequences = options.workload.sequences();
  if (sequences.size() > 1) question.space.sequences = sequences;
  if (options.both_checkpointings) question.space.checkpointing = {0, 1};
  question.limits = {.budget = budget.bytes,
                     .margin = options.workload.margin,
                     .objective = objective_from(options.objective)};
  question.steps = options.steps;
  question.planned_steps = options.max_steps;
  if (options.time_limit) question.time_limit = parse_duration(*options.time_limit, "--time-limit");
  for (const std::int64_t rank : question.space.ranks) {
    for (const std::int64_t layers : question.space.layers)
      validate(workload.with(1, rank, layers), workload.model);
  }
  return question;
}

// Of all trials; nothing where both are compared.
std::optional<bool> checkpointing_of(const FindOptions& options, const Workload& workload) {
  if (options.both_checkpointings) return std::nullopt;
  return workload.base.checkpointing == ActivationCheckpointing::kOn;
}

// A folder as it is before the download: nothing in it could be weights.
bool has_only_config(const std::string& model) {
  std::error_code error;
  if (!fs::exists(fs::path(model) / "config.json", error)) return false;
  for (fs::directory_iterator it(model, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    for (const char* kind : {".safetensors", ".bin", ".gguf", ".pth", ".index.json"}) {
      if (name.ends_with(kind)) return false;
    }
  }
  return !error;
}

// What the optimal configuration's memory goes to, by its plan; the largest part first.
Json binds_of(const SearchResult& result, const Workload& workload) {
  Json binds = Json::array();
  if (!result.optimal) return binds;
  const Configuration& chosen = result.trials[*result.optimal].configuration;
  const MemoryPlan plan = workload.plan(workload.with(chosen));
  const auto total = static_cast<double>(plan.total().bytes.count);
  for (const MemoryShare& share : what_binds(plan)) {
    binds.push_back({{"what", share.what},
                     {"bytes", share.bytes.count},
                     {"share", static_cast<double>(share.bytes.count) / total}});
  }
  return binds;
}

bool wants_profile(const FindOptions& options, TerminalView& view) {
  if (options.yes) return true;
  if (isatty(STDIN_FILENO) == 0) {
    view.line(
        "Not saved as a profile, as there is no terminal to ask on: the same command with --yes "
        "saves it, from the trials that were run.");
    return false;
  }
  const bool wanted = wants_saving(std::cin, stderr);
  if (!wanted) view.line("Not saved as a profile. The same command asks again; --yes saves it.");
  return wanted;
}

// What is written at the end can be written; --output becomes the file that is.
void require_places(FindOptions& options, const Workload& workload, const fs::path& run_folder) {
  if (!options.no_save) require_writable_folder(profile_folder());
  if (!options.output) return;
  std::vector<fs::path> inputs{workload.train->source};
  if (workload.valid) inputs.push_back(workload.valid->source);
  options.output = require_output(*options.output, inputs, run_folder).string();
}

int exit_code_of(const SearchResult& result) {
  switch (result.status) {
    case SearchResult::Status::kComplete:
      return 0;
    case SearchResult::Status::kNothingFits:
      return 1;
    case SearchResult::Status::kUnfinished:
      break;
  }
  if (result.stop_verdict && is_unusable(*result.stop_verdict)) return 1;
  if (result.stop_verdict == Verdict::kBadInput) return 2;
  if (result.stop_verdict == Verdict::kRefused) return 4;
  return 3;
}

struct Found {
  const SearchResult& result;
  const Json& binds;
  bool is_answered;  // the same search has been finished before: its result stands
  const fs::path& run_folder;
};

// result.json, the profile where it is wanted, and the document where else it was asked for.
void keep_result(const Found& found, const FindOptions& options, const Workload& workload,
                 const MachineFacts& machine, const FindQuestion& question, TerminalView& view) {
  const SearchResult& result = found.result;
  ResultContext context{
      .machine = machine,
      .model = workload.model_document(),
      .data = workload.data_document(),
      .limits = question.limits,
      .steps = question.steps,
      .generated_weights = workload.base.generated_weights,
      .grad_checkpoint = checkpointing_of(options, workload),
      .binds = found.binds,
      .run_folder = found.run_folder.string(),
      .profile = "",
      .versions = {
          {"compiler", __VERSION__}, {"oneDNN", onednn_version()}, {"linux", machine.kernel}}};
  const fs::path result_file = found.run_folder / "result.json";
  const bool earlier_stands =
      found.is_answered && result.status == SearchResult::Status::kUnfinished;
  const auto write_result = [&](bool profile_pending) {
    Json answer = result_document(result, context);
    if (profile_pending) answer["profile_pending"] = true;
    std::string document = answer.dump(2) + "\n";
    if (!earlier_stands) replace_file(result_file, document);
    return document;
  };
  const bool proven = result.status == SearchResult::Status::kComplete && result.optimal;
  Profile chosen;
  bool is_saved = false;
  if (proven) {
    chosen = profile_of(result.trials[*result.optimal], result.trials, workload, machine,
                        question.limits, found.run_folder);
    const auto profiles = known_profile_folder();
    const auto earlier = profiles ? profile_of_same_trial(*profiles, chosen) : std::nullopt;
    if (earlier) {
      chosen.name = earlier->name;
      is_saved = train_command(*earlier) == train_command(chosen) && earlier->peak == chosen.peak;
    }
  }
  // Saving the profile may fail, or wait for an answer.
  if (proven && !options.no_save && !is_saved) write_result(true);
  const std::string no_profile = no_profile_line(result, options.no_save);
  if (is_saved) {
    // Of several that match `train` takes the newest: what was asked for last.
    context.profile = (profile_folder() / (chosen.name + ".json")).string();
    if (!options.no_save) save_profile(profile_folder(), chosen);
    view.line("Profile: " + context.profile +
              (options.no_save ? " (saved before; --no-save leaves it as it is)" : ""));
  } else if (!no_profile.empty()) {
    view.line(no_profile);
  } else if (proven && wants_profile(options, view)) {
    context.profile = save_profile(profile_folder(), chosen).string();
    view.line("Profile saved: " + context.profile);
  }
  const std::string document = write_result(false);
  if (earlier_stands) {
    view.line(fmt::format("The result of the search before stands in {}", result_file.string()));
  }
  if (options.output) {
    replace_file(*options.output,
                 earlier_stands ? read_json(result_file).dump(2) + "\n" : document);
  }
  view.line(fmt::format("Run folder: {}", found.run_folder.string()));
  if (!context.profile.empty()) {
    view.line("To train with it:");
    view.whole_line("  " + train_command(chosen));
  }
  if (options.workload.json) tell(stdout, "{}", document);
}

int run_find(FindOptions options) {
  ignore_closed_pipes();
  validate(options);
  const bool limited_by_demo = options.workload.demo && !options.workload.memory_limit;
  if (limited_by_demo) options.workload.memory_limit = kDemoLimit;
  options.both_checkpointings = options.workload.grad_checkpoint == "both";
  if (options.both_checkpointings) options.workload.grad_checkpoint = "off";
  std::FILE* out = options.workload.json ? stderr : stdout;
  const MachineFacts machine = read_machine();
  if (has_only_config(options.workload.model)) options.workload.generated_weights = true;
  Workload workload =
      prepare_workload(options.workload, machine, out,
                       options.workload.generated_weights ? ModelParts::kText : ModelParts::kAll);
  if (options.max_steps != FindOptions().max_steps) {
    workload.train_flags.insert(workload.train_flags.end(),
                                {"--max-steps", std::to_string(options.max_steps)});
  }
  Budget budget = compute_budget(machine.memory, options.workload.limit());
  if (limited_by_demo && budget.binds == "--memory-limit") budget.binds = "--demo";
  const FindQuestion question = question_of(options, workload, budget);
  const SearchPlace place = place_of_search(
      workload, question, machine, options.workload.memory_limit, options.run_dir, options.restart);
  const fs::path& run_folder = place.folder;
  require_places(options, workload, run_folder);
  TerminalView view(out, draws(out), colour_wanted(), [out] { return columns_of(out); });
  Json context{{"schema_version", 1},
               {"question", place.question},
               {"machine", to_json(machine)},
               {"model", workload.model_document()},
               {"data", workload.data_document()}};
  if (const auto on = checkpointing_of(options, workload)) context["grad_checkpoint"] = *on;
  const bool is_answered =
      open_search_folder(run_folder, context, options.restart, known_profile_folder(),
                         [&](const std::string& line) { view.line(line); });

  if (!place.note.empty()) view.line(place.note);
  catch_interrupts();
  say_beginning(question, workload, budget, options.max_batch, is_answered, view);
  FindSession session(workload, machine, question, run_folder, view);
  const SearchResult result = session.run();
  view.search_ends(result, question.limits);
  const Json binds = binds_of(result, workload);
  say_what_binds(binds, view);
  say_epoch(result, workload, view);
  say_cuts_of_choice(result, workload, view);
  if (result.optimal) session.say_growth_of_earlier(result.trials[*result.optimal].trial);

  keep_result(
      {.result = result, .binds = binds, .is_answered = is_answered, .run_folder = run_folder},
      options, workload, machine, question, view);
  return exit_code_of(result);
}

}  // namespace

CommandFunction add_find(Flags flags) {
  const auto options = std::make_shared<FindOptions>();
  options->workload.compares = true;
  add_model_flags(flags, options->workload);
  add_data_flags(flags, options->workload);
  add_lora_flags(flags, options->workload);
  add_distrust_flags(flags, options->workload);
  add_memory_flags(flags, options->workload);
  add_demo_flag(flags, options->workload,
                fmt::format("The embedded model and data; --memory-limit is {} where none is given",
                            kDemoLimit));
  flags.toggle("--generated-weights", options->workload.generated_weights,
               "Random weights of the model's shapes; so where the folder has only config.json");
  flags.value("--ranks N,N", options->ranks, "LoRA ranks to try");
  flags.value("--layers-grid N,N|all", options->layers_grid,
              "Numbers of LoRA layers to try; 8,16,24,32 within the model; -1 or all: all layers");
  flags.value("--max-batch", options->max_batch, "Largest batch size to try");
  flags.value("--steps", options->steps, "Steps of a trial, at least 3");
  flags.value("--max-steps,--iters", options->max_steps,
              "Steps of the training to come: where memory grows, it is told for their end");
  flags.value("--objective balanced|largest|fastest", options->objective,
              "balanced: the largest whose speed is at least 90 % of the fastest; largest: batch x "
              "rank x layers");
  flags.value("--time-limit TIME", options->time_limit,
              "End after this time with the best so far: 90s, 30m, 2h, 1h30m");
  flags.value("--run-dir DIR", options->run_dir,
              "Folder of this search; goes on where an earlier one stopped");
  flags.value("--output FILE", options->output, "Write the result document here as well");
  flags.toggle("--restart", options->restart,
               "Run all trials anew; the search in the run folder is kept in a folder beside it");
  flags.toggle("--yes", options->yes,
               "Ask nothing; save the profile, which is not done without a terminal to ask on");
  flags.toggle("--no-save", options->no_save, "Save no profile");
  return [options] { return run_find(*options); };
}

}  // namespace loadline
