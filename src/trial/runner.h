// Runs a trial: a child process under a cap, watched, judged.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "machine/clock.h"
#include "machine/facts.h"
#include "trial/protocol.h"
#include "trial/trial.h"

namespace loadline {

struct RunnerOptions {
  // The worker's command; "--spec FILE" (its trials/NNN/spec.json) is added. Usually
  // {"/proc/self/exe", "worker"}.
  std::vector<std::string> command;
  std::filesystem::path
      run_folder;  // trials/NNN/{spec,outcome}.json, events.jsonl, stderr.txt are written here
  CapKind cap = CapKind::kRlimit;
  int threads = 1;  // OMP_NUM_THREADS of the worker

  // How long a trial may show no event and no sign of life; at least ten times a step's time.
  std::chrono::milliseconds stall_floor{60'000};
  // Between SIGTERM and SIGKILL.
  std::chrono::milliseconds stop_grace{5'000};
  // How long neighbours are given to let go of memory before a trial is refused.
  std::chrono::milliseconds refusal_patience{3'000};
  std::filesystem::path root = "/";  // whose /proc says what is available now
};

// RUN_FOLDER/trials/NNN: what a trial leaves.
std::filesystem::path trial_folder(const std::filesystem::path& run_folder, int id);

// Told of each event as it comes; must not throw.
using TrialListener = std::function<void(const TrialSpec&, const WorkerEvent&)>;

// Never throws for what a child does: that is the outcome (docs/reliability.md has the rules).
// Where the run folder cannot be written, or the cap of `options.cap` cannot be made (a trial never
// runs without one), the verdict is kRefused. events.jsonl and outcome.json that a full disk did
// not take are named under `not_written` in the evidence: they cost no verdict. `stop_requested` is
// asked several times a second; then the child is ended and the verdict is kInterrupted. Must be
// called from a thread that stays until it returns.
TrialOutcome run_trial(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock,
                       const std::function<bool()>& stop_requested, const TrialListener& listener);

}  // namespace loadline
