// -c FILE.toml: flags from a file. Keys are the long flags' names, `-` or `_` alike:
//   batch-size = 4
//   target_modules = ["q_proj", "v_proj"]
//   mask-prompt = true
#pragma once

#include <string>
#include <vector>

namespace loadline {

// Replaces `-c FILE` (or --config FILE) behind the command's name by the file's flags, before the
// flags that were typed, so that what was typed wins. Throws Error(kBadInput) naming file and line.
std::vector<std::string> expand_config_file(std::vector<std::string> arguments);

}  // namespace loadline
