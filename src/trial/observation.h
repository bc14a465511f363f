// All that was seen of a trial, before anything is concluded from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "machine/cap.h"
#include "machine/child.h"
#include "machine/facts.h"
#include "machine/process_activity.h"
#include "machine/process_memory.h"
#include "trial/protocol.h"
#include "trial/trial.h"

namespace loadline {

// What the worker said.
struct WorkerReport {
  std::optional<Loaded> loaded;
  std::vector<TrialStep> steps;
  std::optional<Evaluated> evaluated;
  std::optional<Saved> saved;
  std::optional<Finished> finished;
  std::optional<Failed> failed;
  // Something that the protocol does not allow: what, and the line (shortened).
  std::string violation;

  // The largest peak that it told of.
  [[nodiscard]] Bytes peak() const;
  // A loss that is not finite, of a step or an evaluation.
  [[nodiscard]] bool diverged() const;
};

// Why we ended it, where it was we.
enum class Ending : std::uint8_t {
  kByItself,
  kInterrupted,
  kTimedOut,
  kStalled,
  kViolation,
  kTree  // it, or it with its children, held more than the ceiling
};

struct TrialObservation {
  WorkerReport report;
  Ending ending = Ending::kByItself;
  std::string ending_detail;
  ChildExit exit;
  ProcessMemory memory;            // each its largest sample
  Bytes held;                      // the largest sample of what is resident or in swap
  std::optional<Bytes> tree_peak;  // of the worker and its children together, where it had any
  ProcessActivity activity;        // of the worker and of all that it has started
  double waited_seconds = 0;       // it was ready, and others had the cores
  std::optional<double> neighbour_cores;  // Noise
  CapKind cap = CapKind::kRlimit;
  bool was_capped = true;  // it was seen inside its cap
  CapEvidence evidence;
  double seconds = 0;
  std::string stderr_tail;
};

// Pure: concludes. The first rule that holds decides:
// interrupted; never under its ceiling; killed for memory or out of it, with evidence; ended by us
// (time, stall, protocol); the worker's own word, or a loss that is not finite; a signal; an exit
// code; no result; steps missing; then the budget.
TrialOutcome judge(const TrialSpec& spec, const TrialObservation& seen);
// What the outcome says where the budget is another than the trial's: a peak is compared anew, and
// what ran out of memory needed more than it was held under. Nothing where that is open: it would
// fit if it needed just a little more.
std::optional<TrialOutcome> under_budget(TrialSpec spec, TrialOutcome outcome, Bytes budget);
// Whether a trial that fits under such a cap still proves the margin where the budget is another
// than the trial's: a machine's budget drifts by itself, so 2 % more than today's cap will do.
bool proves_margin(const TrialSpec& spec, Bytes budget);

// The outcome of a trial that was not started: neighbours hold what it needs.
TrialOutcome refuse(Bytes needed, Bytes available);
// Of one that the surroundings do not let run: a full disk, no permission, no ceiling.
TrialOutcome refuse(const std::string& why);

}  // namespace loadline
