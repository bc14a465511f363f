// What lies ahead of a search: its questions asked of what is expected instead of the machine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "search/hypotheses.h"

namespace loadline {

// Ways in which peaks may differ from what is expected.
constexpr std::int64_t kWays = 7;

// The trials still to come, the next one first; at most `limit`. In way 0 every prediction comes
// true. In the others, up to kWays, each cell's peaks lie at another quantile of what is expected
// of them. Nothing once looks_further, which may be empty, says no.
std::optional<std::vector<ExpectedTrial>> trials_ahead(const SearchSpace& space,
                                                       const SearchLimits& limits,
                                                       Estimates& estimates,
                                                       std::vector<RunTrial> trials,
                                                       std::int64_t way, std::size_t limit,
                                                       const std::function<bool()>& looks_further);

}  // namespace loadline
