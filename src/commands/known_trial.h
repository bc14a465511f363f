// What a journal says today.
#pragma once

#include <optional>

#include "search/search.h"
#include "trial/journal.h"

namespace loadline {

// The trial of an entry under the limits of today, which may be others than its own day's. Nothing
// where it gives no answer: it has none, was interrupted, or ran out of memory where more may be
// used now.
std::optional<RunTrial> known_trial(const JournalEntry& entry, const Configuration& configuration,
                                    const SearchLimits& limits);

}  // namespace loadline
