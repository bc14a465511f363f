// What a training that has diverged says.
#pragma once

#include <cstdint>
#include <string>

#include "training/saved_run.h"
#include "training/settings.h"

namespace loadline {

// What was seen, which adapter is kept, and the way out, after so many updates. Of a trial only
// what was seen: it has no learning rate of the user's, and keeps no adapter.
std::string words_of_divergence(const TrainingSettings& settings, const std::string& seen,
                                std::int64_t updates, const SavedRun& saved);

}  // namespace loadline
