// Where a search's answer is written beside its run folder: --output.
#pragma once

#include <filesystem>
#include <vector>

namespace loadline {

// Before hours of work whose answer would be lost there, or would replace what it was made from.
// Throws Error(kUsage) when `output` is no place for a file, is one of `inputs` (by another name
// too), is any other file but an earlier result, or lies in the run folder, whose result.json alone
// it may be; Error(kEnvironment) when no file can be written there.
void require_output(const std::filesystem::path& output,
                    const std::vector<std::filesystem::path>& inputs,
                    const std::filesystem::path& run_folder);

}  // namespace loadline
