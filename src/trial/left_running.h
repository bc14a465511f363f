// What becomes of a trial whose end nobody saw: the search that ran it was killed, or the machine
// went down.
#pragma once

#include "trial/trial.h"

namespace loadline {

// In the same boot only the search died: kInterrupted, so that it is tried again, unless that has
// happened `before` with the same question. Else the machine went down under it: kKilled, never
// tried again by itself.
TrialOutcome left_running(bool same_boot, bool before);
[[nodiscard]] bool was_left_running(const TrialOutcome& outcome);

// Same batch, rank and layers, and the same settings of the worker but for where its files lie.
// Under whatever ceiling: where the machine's free memory sets it, no two searches have the same.
[[nodiscard]] bool is_same_question(const TrialSpec& a, const TrialSpec& b);

}  // namespace loadline
