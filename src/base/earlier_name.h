// What an earlier run or search is called when another takes its place.
#pragma once

#include <ctime>
#include <filesystem>

namespace loadline {

// FOLDER.2026-11-28T10-09-46Z (UTC; a ':' is not for every file system), with -2, -3 ... behind it
// where that is there already.
std::filesystem::path earlier_name(const std::filesystem::path& folder, std::time_t time);

}  // namespace loadline
