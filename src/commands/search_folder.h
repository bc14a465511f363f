// The folder of a search: begun, gone on with, kept under another name.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"

namespace loadline {

// Makes the folder, writes `context` into its run.json, and returns the result that an earlier
// search of the same question came to in it: its trials count, and its result.json stands until
// there is another. With `restart` an earlier search is kept under another name, told by `say`,
// where the profiles in `profiles` that rest on it find it. Throws Error(kUsage) where the folder
// holds another question, and Error(kEnvironment) where another search writes there.
std::optional<Json> open_search_folder(const std::filesystem::path& folder, const Json& context,
                                       bool restart, const std::filesystem::path& profiles,
                                       const std::function<void(const std::string&)>& say);

}  // namespace loadline
