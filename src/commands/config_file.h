// -c FILE.toml: flags from a file. Keys are the long flags' names, `-` or `_` alike:
//   batch-size = 4
//   target_modules = ["q_proj", "v_proj"]
//   mask-prompt = true
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace loadline {

// Replaces `-c FILE` (or --config FILE) behind the command's name by the file's flags, before the
// flags that were typed, so that what was typed wins. has_flag("--batch-size") says what the
// command knows. Throws Error(kBadInput) naming file, line and key for what it does not know, and
// for what is no value of a flag; Error(kUsage) for a second file.
std::vector<std::string> expand_config_file(
    const std::vector<std::string>& arguments,
    const std::function<bool(const std::string& flag)>& has_flag);

}  // namespace loadline
