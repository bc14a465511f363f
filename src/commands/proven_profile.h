// The profile of a configuration that a trial has proven.
#pragma once

#include <filesystem>
#include <string>

#include "commands/workload.h"
#include "report/profile.h"
#include "search/search.h"

namespace loadline {

// Now, UTC, as RFC 3339 has it.
std::string timestamp();

// `trial` fits; its evidence lies in run_folder.
Profile profile_of(const RunTrial& trial, const Workload& workload, const MachineFacts& machine,
                   const SearchLimits& limits, const std::filesystem::path& run_folder);

}  // namespace loadline
