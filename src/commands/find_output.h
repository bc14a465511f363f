// Where a search's answer is written beside its run folder: --output.
#pragma once

#include <filesystem>
#include <vector>

namespace loadline {

// The file that is to be written for `output`: where that is a link, the one that it leads to.
// Before hours of work whose answer would be lost there, or would replace what it was made from:
// throws Error(kUsage) when `output` is no place for a file, is one of `inputs` (by another name
// too), is any other file but an earlier result, or lies in the run folder, whose result.json alone
// it may be; Error(kEnvironment) when no file can be written there.
std::filesystem::path require_output(const std::filesystem::path& output,
                                     const std::vector<std::filesystem::path>& inputs,
                                     const std::filesystem::path& run_folder);

}  // namespace loadline
