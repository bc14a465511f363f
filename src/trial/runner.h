// Runs a trial: a child process under a cap, watched, judged.
#pragma once

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
  int threads = 1;
};

// Told of each event as it comes; must not throw.
using TrialListener = std::function<void(const TrialSpec&, const WorkerEvent&)>;

// Never throws for what a child does: that is the outcome. Throws Error(kEnvironment) when the run
// folder cannot be written. `stop_requested` is asked several times a second; then the child is
// ended and the verdict is kInterrupted.
TrialOutcome run_trial(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock,
                       const std::function<bool()>& stop_requested, const TrialListener& listener);

}  // namespace loadline
