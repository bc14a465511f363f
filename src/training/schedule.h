#pragma once

#include <cstdint>

#include "training/settings.h"

namespace loadline {

// The learning rate of update `step` (counted from 1) of `max_steps`: linear from 0 over
// warmup_steps, then constant, linear to 0 or half a cosine to 0. The values are those of
// transformers' get_*_schedule_with_warmup, where update `step` is taken with step - 1 updates
// done: with warm-up the first update has rate 0, without it the full rate. A pure function of the
// step, so that a resumed run continues it exactly.
double learning_rate_at(const TrainingSettings& settings, std::int64_t step);

}  // namespace loadline
