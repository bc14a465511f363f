// train --verify: a configuration proven here and now by one trial.
#pragma once

#include <cstdio>

#include "commands/workload.h"
#include "machine/facts.h"
#include "report/profile.h"
#include "search/search.h"

namespace loadline {

// Runs one trial of `configuration` under budget / (1 + margin) and saves its profile, which it
// returns. Throws Error(kDoesNotFit) with the cause when it does not fit, Error(kEnvironment) when
// the trial says nothing about memory, Error(kInterrupted) when it was interrupted.
Profile verify(const Workload& workload, const MachineFacts& machine, const SearchLimits& limits,
               const Configuration& configuration, std::FILE* out);

}  // namespace loadline
