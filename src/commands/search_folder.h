// The folder of a search: begun, gone on with, set aside.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"

namespace loadline {

// RUNS/MODEL-HASH, where `hash` is of the question. A search of that hash is gone on with under the
// name that it has: the same model may have been called otherwise.
std::filesystem::path folder_of_search(const std::filesystem::path& runs, const std::string& model,
                                       const std::string& hash);

// What run.json says of the search of this question in the folder; nothing where there is none.
std::optional<Json> search_of(const Json& question, const std::filesystem::path& folder);

// Makes the folder, writes `context` into its run.json, and returns whether an earlier search of
// the same question was finished in it: its trials count, and its result.json stands until there is
// another. One that cannot be read counts as missing, told by `say`. With `restart` the files of an
// earlier search are moved into a folder beside this one, told by `say`, where the profiles in
// `profiles`, where there is such a folder, that rest on it find it; what else lies here stays.
// Throws Error(kUsage) where the folder holds another question, an adapter or a model, and
// Error(kEnvironment) where another search writes there.
bool open_search_folder(const std::filesystem::path& folder, const Json& context, bool restart,
                        const std::optional<std::filesystem::path>& profiles,
                        const std::function<void(const std::string&)>& say);

// Deletes what a search wrote in its folder, and the folder where nothing else lies there. Throws
// Error(kEnvironment) where a search is writing there, or a file cannot be removed.
void remove_search(const std::filesystem::path& folder);

}  // namespace loadline
