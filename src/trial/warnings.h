// What people should know of a trial beside its verdict.
#pragma once

#include <string>
#include <vector>

#include "trial/trial.h"

namespace loadline {

// Each a line with its figures and the way out: memory that grows, a noisy machine, records that
// could not be written. None for a quiet trial.
std::vector<std::string> warnings_of(const TrialSpec& spec, const TrialOutcome& outcome);

// The one of them that hangs on how long the training to come is; or empty.
std::string growth_warning(const TrialSpec& spec, const TrialOutcome& outcome);

// "+0.2 % over steps 10 to 15 (12.0 KiB ± 3.0 KiB a step)"
std::string describe(const Growth& growth, std::int64_t last_step);

}  // namespace loadline
