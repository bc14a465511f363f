// Before the first step: a run that cannot fit is refused, with what it needs and what would fit.
#pragma once

#include <cstdio>
#include <string>

#include "commands/ways_out.h"
#include "machine/facts.h"
#include "report/profile.h"
#include "search/search.h"
#include "workload/workload.h"

namespace loadline {

// The plan's bytes by what they are for, the largest first:
//   forward    48 buffers    1.20 GiB
std::string plan_table(const MemoryPlan& plan);

// Throws Error(kDoesNotFit) with the plan's table, the budget, and each single flag that would
// make it fit with what it would need. Whatever the user set is never changed.
void require_fit(const Workload& workload, const TrainingSettings& settings, const Budget& budget,
                 double margin, AskedBy asked_by = AskedBy::kTrain, const NamedSource& source = {});

// The configuration that a profile was measured for.
Configuration configuration_of(const Profile& profile);

// Whether its rows were longer: what it needed is more than these settings need.
bool is_of_longer_rows(const Profile& profile, const TrainingSettings& settings);

// Whether the profile has measured just these settings, or these on longer rows.
bool proves(const Profile& profile, const TrainingSettings& settings);

// What auto makes of checkpointing where the profile has proven the rest of `settings`: as it was
// proven, or on where that is more than today's budget and on is planned to be within it; says so.
void take_checkpointing(const Profile& profile, const Workload& workload, const Budget& budget,
                        double margin, TrainingSettings& settings, std::FILE* out);

// Says what the profile, which proves `settings`, was measured to need, with today's margin; throws
// Error(kDoesNotFit) naming both, and what would fit, where that is more than today's budget.
void require_proof_within(const Profile& profile, const Workload& workload,
                          const TrainingSettings& settings, const Budget& budget, double margin,
                          std::FILE* out, const NamedSource& source = {});

// Whether a run of `settings` is planned to need no more than a trial of them, which has the
// longest batches of the training rows but no test rows.
bool is_covered_by_trial(const Workload& workload, const TrainingSettings& settings);

}  // namespace loadline
