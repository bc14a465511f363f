// Before the first step: a run that cannot fit is refused, with what it needs and what would fit.
#pragma once

#include <string>

#include "commands/workload.h"
#include "machine/facts.h"

namespace loadline {

// The plan's bytes by what they are for, the largest first:
//   forward    48 buffers    1.20 GiB
std::string plan_table(const MemoryPlan& plan);

// Throws Error(kDoesNotFit) with the plan's table, the budget, and each single flag that would
// make it fit with what it would need. Whatever the user set is never changed.
void require_fit(const Workload& workload, const TrainingSettings& settings, const Budget& budget,
                 double margin);

}  // namespace loadline
