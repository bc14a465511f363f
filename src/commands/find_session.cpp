#include "commands/find_session.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/error.h"
#include "machine/cap.h"
#include "machine/interrupt.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

Configuration configuration_of(const TrialSpec& spec) {
  return {
      .batch_size = spec.batch_size, .lora_rank = spec.lora_rank, .lora_layers = spec.lora_layers};
}

fs::path trial_folder(const fs::path& run_folder, int id) {
  return run_folder / "trials" / fmt::format("{:03}", id);
}

}  // namespace

FindSession::FindSession(const Workload& workload, const MachineFacts& machine,
                         const FindQuestion& question, const fs::path& run_folder,
                         TerminalView& view)
    : workload_(workload),
      question_(question),
      view_(view),
      run_folder_(run_folder),
      journal_(run_folder),
      begin_(clock_.now()),
      runner_{.command = {fs::read_symlink("/proc/self/exe").string(), "worker"},
              .run_folder = run_folder,
              .cap = machine.cap.kind,
              .threads = machine.cpu.usable} {
  for (const JournalEntry& entry : journal_.entries())
    next_id_ = std::max(next_id_, entry.spec.id + 1);
}

TrainingSettings FindSession::settings_of(const Configuration& configuration) const {
  TrainingSettings settings =
      workload_.with(configuration.batch_size, configuration.lora_rank, configuration.lora_layers);
  settings.order = RowOrder::kWorstFirst;
  settings.max_steps = question_.steps;
  settings.steps_per_eval = 0;
  settings.save_every = 0;
  settings.eval_batches = 2;
  return settings;
}

TrialSpec FindSession::spec_of(const Configuration& configuration, Bytes cap) {
  TrialSpec spec;
  spec.id = next_id_++;
  spec.batch_size = configuration.batch_size;
  spec.lora_rank = configuration.lora_rank;
  spec.lora_layers = configuration.lora_layers;
  spec.steps = question_.steps;
  spec.budget = question_.limits.budget;
  spec.cap = cap + untouched_room(runner_.cap, runner_.threads);
  spec.margin = question_.limits.margin;
  spec.planned_steps = question_.planned_steps;
  spec.predicted_step = predicted_step(configuration);
  TrainingSettings settings = settings_of(configuration);
  settings.adapter_path = trial_folder(run_folder_, spec.id) / "adapter";
  spec.planned = workload_.plan(settings).total();
  spec.worker = to_json(settings);
  return spec;
}

// What the trials so far let one expect, never too little by much: the largest time for a row and a
// layer, over all of them. It only tells a slow step from one that has no end.
std::chrono::milliseconds FindSession::predicted_step(const Configuration& configuration) const {
  double seconds = 0;
  for (const JournalEntry& entry : journal_.entries()) {
    if (!entry.outcome || entry.outcome->step_seconds <= 0) continue;
    const TrialSpec& known = entry.spec;
    const double rows =
        static_cast<double>(configuration.batch_size) / static_cast<double>(known.batch_size);
    const double layers = static_cast<double>(configuration.lora_layers) /
                          static_cast<double>(std::max<std::int64_t>(known.lora_layers, 1));
    seconds = std::max(seconds,
                       entry.outcome->step_seconds * std::max(rows, 1.0) * std::max(layers, 1.0));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(std::min(seconds, 1e6) * 1000));
}

RunTrial FindSession::run_one(const Configuration& configuration, Bytes cap) {
  const TrialSpec spec = spec_of(configuration, cap);
  view_.trial_begins(spec);
  journal_.started(spec);
  const TrialOutcome outcome = run_trial(
      spec, runner_, clock_, [this] { return out_of_time(); },
      [this](const TrialSpec& running, const WorkerEvent& event) {
        view_.trial_event(running, event);
      });
  journal_.finished(spec, outcome);
  view_.trial_ends(spec, outcome);
  std::error_code ignored;  // the trial's adapter proved that saving works; nobody wants it
  fs::remove_all(trial_folder(run_folder_, spec.id) / "adapter", ignored);
  return {.configuration = configuration,
          .trial = spec.id,
          .planned = spec.planned,
          .outcome = outcome};
}

std::vector<RunTrial> FindSession::known_trials() const {
  std::vector<RunTrial> known;
  for (const JournalEntry& entry : journal_.entries()) {
    if (!entry.outcome || entry.outcome->verdict == Verdict::kInterrupted) continue;
    known.push_back(
        {configuration_of(entry.spec), entry.spec.id, entry.spec.planned, *entry.outcome});
  }
  return known;
}

bool FindSession::out_of_time() const {
  return interrupted() || (question_.time_limit && clock_.now() - begin_ >= *question_.time_limit);
}

bool FindSession::confirm(SearchResult& result, std::vector<RunTrial>& known) {
  const std::size_t chosen = *result.optimal;
  const Configuration configuration = result.trials[chosen].configuration;
  const SearchLimits& limits = question_.limits;
  view_.line(
      fmt::format("Confirming batch={}, rank={}, layers={} under {} (budget / {:.2f})",
                  configuration.batch_size, configuration.lora_rank, configuration.lora_layers,
                  to_string(limits.budget.scaled(1 / (1 + limits.margin))), 1 + limits.margin));
  RunTrial confirmation = run_one(configuration, limits.budget.scaled(1 / (1 + limits.margin)));
  const bool holds = confirmation.outcome.fits();
  const bool stopped = confirmation.outcome.verdict == Verdict::kInterrupted;
  if (holds) confirmation_ = confirmation.trial;
  if (stopped) result.status = SearchResult::Status::kUnfinished;
  known = result.trials;
  if (!holds && !stopped) known[chosen] = confirmation;
  result.trials.push_back(std::move(confirmation));
  return holds || stopped;
}

SearchResult FindSession::run() {
  const SearchFunctions functions{
      .estimate = [this](const Configuration& c) { return workload_.plan(settings_of(c)).total(); },
      .run = [this](const Configuration& c) { return run_one(c, question_.limits.budget); },
      .out_of_time = [this] { return out_of_time(); },
      .outlook = [this](const Outlook& outlook) { view_.outlook(outlook); }};
  std::vector<RunTrial> known = known_trials();
  for (;;) {
    SearchResult result = search(question_.space, question_.limits, functions, known);
    const bool to_confirm =
        result.status == SearchResult::Status::kComplete && result.optimal && !out_of_time();
    if (!to_confirm || confirm(result, known)) return result;
  }
}

}  // namespace loadline
