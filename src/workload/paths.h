// What the environment says: where a user's files lie (XDG Base Directory Specification), and
// what the terminal can. Elsewhere it is asked only for what `base` and `machine` need.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>

namespace loadline {

// $XDG_DATA_HOME/loadline/profiles. Throws Error(kEnvironment), as the others do, where neither
// that nor HOME is set.
std::filesystem::path profile_folder();
// Nothing in place of the error: no profile can lie anywhere then.
std::optional<std::filesystem::path> known_profile_folder();
std::filesystem::path runs_folder();   // $XDG_STATE_HOME/loadline/runs
std::filesystem::path cache_folder();  // $XDG_CACHE_HOME/loadline

// It is a terminal that obeys escape sequences: TERM is there, and not "dumb".
bool draws(std::FILE* out);

// How wide it is: COLUMNS, else what the terminal says, else 80.
std::int64_t columns_of(std::FILE* out);

// NO_COLOR (no-color.org) is not set.
bool colour_wanted();

}  // namespace loadline
