// Before the first step: a run that cannot fit is refused, with what it needs and what would fit.
#pragma once

#include <string>

#include "commands/workload.h"
#include "machine/facts.h"
#include "report/profile.h"
#include "search/search.h"

namespace loadline {

// The plan's bytes by what they are for, the largest first:
//   forward    48 buffers    1.20 GiB
std::string plan_table(const MemoryPlan& plan);

// Throws Error(kDoesNotFit) with the plan's table, the budget, and each single flag that would
// make it fit with what it would need. Whatever the user set is never changed.
void require_fit(const Workload& workload, const TrainingSettings& settings, const Budget& budget,
                 double margin);

// A profile was proven within a budget; today's may be smaller: throws Error(kDoesNotFit) where it
// is that configuration and does not fit any more.
void require_proof_within(const Profile& profile, const Configuration& chosen,
                          const Budget& budget);

}  // namespace loadline
