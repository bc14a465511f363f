// The profile of a configuration that a trial has proven.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "report/profile.h"
#include "search/search.h"
#include "workload/workload.h"

namespace loadline {

// Now, UTC, as RFC 3339 has it.
std::string timestamp();

// `trial` is one of `trials` and fits; their evidence lies in run_folder. The speed is that of all
// runs of its configuration.
Profile profile_of(const RunTrial& trial, const std::vector<RunTrial>& trials,
                   const Workload& workload, const MachineFacts& machine,
                   const SearchLimits& limits, const std::filesystem::path& run_folder);

// The newest in `folder` that rests on the same trial as `proven`, whatever flags of `train` it
// has: two profiles of one trial would compete.
std::optional<Profile> profile_of_same_trial(const std::filesystem::path& folder,
                                             const Profile& proven);

}  // namespace loadline
