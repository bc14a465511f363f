// train --verify: a configuration proven here and now by one trial.
#pragma once

#include <cstdio>

#include "machine/facts.h"
#include "report/profile.h"
#include "search/search.h"
#include "workload/workload.h"

namespace loadline {

// Runs one trial of `configuration` under budget / (1 + margin) and saves its profile, which it
// returns; growth is told for the end of `max_steps`. Throws Error(kDoesNotFit) with the cause when
// it does not fit or comes to no good end, Error(kEnvironment) when the machine refused the trial,
// Error(kInterrupted) when it was interrupted.
Profile verify(const Workload& workload, const MachineFacts& machine, const SearchLimits& limits,
               const Configuration& configuration, std::int64_t max_steps, std::FILE* out);

}  // namespace loadline
