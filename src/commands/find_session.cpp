#include "commands/find_session.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "commands/known_trial.h"
#include "machine/cap.h"
#include "machine/interrupt.h"
#include "report/progress.h"
#include "training/reference_work.h"
#include "trial/advice.h"
#include "trial/warnings.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

static_assert(kLeastSteps == kLeastTrialSteps, "the worker ends no earlier than is asked of it");
static_assert(kReferenceSeconds == ReferenceWork::kLeastSeconds &&
                  kReferenceShare == ReferenceWork::kShare,
              "the time left counts with the worker's reference work");

// As the search knows it: what it does not compare is no part of it.
Configuration configuration_of(const TrialSpec& spec, const SearchSpace& space) {
  Configuration c = tested_by(spec);
  if (space.sequences.size() <= 1) c.sequence = 0;
  if (space.checkpointing.size() <= 1) c.checkpointing = Configuration::kNotCompared;
  return c;
}

// It proved that saving works; nobody wants it.
void remove_adapter(const fs::path& run_folder, int trial) {
  std::error_code ignored;
  fs::remove_all(trial_folder(run_folder, trial) / "adapter", ignored);
}

// The search may think so long about what lies ahead; the user waits meanwhile.
constexpr std::chrono::seconds kOutlook{1};

std::string second_kill(std::string cause) {
  const std::size_t advice = cause.find(kAskOnceMore);
  if (advice != std::string::npos) return cause.replace(advice, kAskOnceMore.size(), kKilledTwice);
  return cause + ". " + std::string(kKilledTwice);
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
      last_end_(begin_),
      runner_{.command = {fs::read_symlink("/proc/self/exe").string(), "worker"},
              .run_folder = run_folder,
              .cap = machine.cap.kind,
              .threads = machine.cpu.usable} {
  for (const JournalEntry& entry : journal_.entries()) {
    first_id_ = next_id_ = std::max(next_id_, entry.spec.id + 1);
    remove_adapter(run_folder_, entry.spec.id);  // of a search that was killed meanwhile
  }
}

TrainingSettings FindSession::settings_of(const Configuration& configuration) const {
  TrainingSettings settings = workload_.with(configuration);
  settings.order = RowOrder::kWorstFirst;
  settings.max_steps = question_.steps;
  settings.steps_per_eval = 0;
  settings.save_every = 0;
  settings.eval_batches = 2;
  return settings;
}

Bytes FindSession::cap_of(bool under_margin) const {
  const SearchLimits& limits = question_.limits;
  return under_margin ? cap_under_margin(limits.budget, limits.margin) : limits.budget;
}

TrialSpec FindSession::spec_of(const Question& question) {
  const Configuration& configuration = question.configuration;
  TrialSpec spec;
  spec.id = next_id_++;
  spec.batch_size = configuration.batch_size;
  spec.lora_rank = configuration.lora_rank;
  spec.lora_layers = configuration.lora_layers;
  spec.steps = question_.steps;
  spec.least_steps = std::min(kLeastSteps, question_.steps);
  spec.budget = question_.limits.budget;
  spec.cap = cap_of(question.under_margin);
  spec.margin = question_.limits.margin;
  spec.planned_steps = question_.planned_steps;
  spec.predicted_step = predicted_step(
      configuration, journal_.entries(),
      [&](const TrialSpec& known) { return configuration_of(known, question_.space); });
  TrainingSettings settings = settings_of(configuration);
  settings.adapter_path = trial_folder(run_folder_, spec.id) / "adapter";
  // What is to be recommended runs all of its steps: its growth is looked at.
  if (question.under_margin) {
    spec.least_steps = 0;
  } else {
    settings.enough_seconds = kEnoughStepSeconds;
  }
  const MemoryPlan plan = workload_.plan(settings);
  spec.planned = plan.total();
  spec.untouched = plan.untouched();
  spec.worker = to_json(settings);
  return spec;
}

RunTrial FindSession::run_one(const Question& question) {
  const Configuration& configuration = question.configuration;
  const TrialSpec spec = spec_of(question);
  view_.trial_begins(spec, configuration);
  if (question.for_speed) {
    view_.line("  Once more: other processes slowed its first trial, and its speed matters");
  }
  if (question.under_margin) {
    view_.line(fmt::format("  Held under {}, the budget / {:g}: a fit proves the margin",
                           to_string(spec.cap), 1 + spec.margin));
  }
  journal_.started(spec);
  TrialOutcome outcome = run_trial(
      spec, runner_, clock_, [this] { return !must_end().empty(); },
      [this](const TrialSpec& running, const WorkerEvent& event) {
        view_.trial_event(running, event);
      });
  const std::string why = must_end();
  if (outcome.verdict == Verdict::kInterrupted && !interrupted() && !why.empty()) {
    outcome.cause = why;
  }
  if (outcome.verdict == Verdict::kKilled && was_killed(question.configuration)) {
    outcome.cause = second_kill(outcome.cause);
  }
  journal_.finished(spec, outcome);
  view_.trial_ends(spec, outcome);
  last_end_ = clock_.now();
  remove_adapter(run_folder_, spec.id);
  return {.configuration = question.configuration,
          .trial = spec.id,
          .planned = spec.planned,
          .outcome = outcome,
          .under_margin = question.under_margin,
          .cap = spec.cap};
}

// In an earlier search of this folder.
bool FindSession::was_killed(const Configuration& configuration) const {
  return std::any_of(journal_.entries().begin(), journal_.entries().end(), [&](const auto& entry) {
    return entry.outcome && entry.outcome->verdict == Verdict::kKilled &&
           configuration_of(entry.spec, question_.space) == configuration;
  });
}

std::vector<RunTrial> FindSession::known_trials() const {
  std::vector<RunTrial> known;
  const auto of = [&](const TrialSpec& spec) { return configuration_of(spec, question_.space); };
  const auto again = asked_once_more(journal_.entries(), of);
  for (const JournalEntry* entry : again) {
    if (is_answered_later(*entry, journal_.entries(), of, question_.limits)) continue;
    view_.line(fmt::format("Trial {} ({}) was killed from outside: its question is open again",
                           entry->spec.id, describe(of(entry->spec))));
  }
  for (const JournalEntry& entry : journal_.entries()) {
    if (std::find(again.begin(), again.end(), &entry) != again.end()) continue;
    const Configuration tested = of(entry.spec);
    if (const auto trial = known_trial(entry, tested, question_.limits)) known.push_back(*trial);
  }
  return known;
}

std::string FindSession::must_end() const {
  if (interrupted()) return "interrupted";
  const bool late = question_.time_limit && clock_.now() - begin_ >= *question_.time_limit;
  return late ? "the time limit was reached" : "";
}

RunTrial FindSession::prove(const Configuration& configuration) {
  return run_one({configuration, true});
}

void FindSession::say_growth_of_earlier(int trial) const {
  for (const JournalEntry& entry : journal_.entries()) {
    if (entry.spec.id != trial || trial >= first_id_ || !entry.outcome) continue;
    TrialSpec spec = entry.spec;
    spec.budget = question_.limits.budget;
    spec.planned_steps = question_.planned_steps;
    const std::string growth = growth_warning(spec, *entry.outcome);
    if (!growth.empty()) view_.line(fmt::format("Warning: trial {}: {}", trial, growth));
  }
}

SearchResult FindSession::run() {
  last_end_ = clock_.now();
  const SearchFunctions functions{
      .estimate = [this](const Configuration& c) { return workload_.plan(settings_of(c)).total(); },
      .run = [this](const Question& question) { return run_one(question); },
      .must_end = [this] { return must_end(); },
      .outlook = [this](const Outlook& outlook) { view_.outlook(outlook); },
      .looks_further =
          [this] { return clock_.now() - last_end_ < kOutlook && must_end().empty(); }};
  return search(question_.space, question_.limits, functions, known_trials());
}

}  // namespace loadline
