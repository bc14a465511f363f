// Where in adapter_path a run writes: docs/training-state.md.
#pragma once

#include <filesystem>
#include <optional>

#include "training/settings.h"

namespace loadline {

// In a run's folder: what it was started with. Written by the command; the run itself moves it.
inline constexpr const char* kCommandFile = "command.json";

// A finished run in `adapter_path` stays as it is until the run that replaces it is finished too.
// Until then that one lives here, in a folder of the same form.
std::filesystem::path replacing_folder(const std::filesystem::path& adapter_path);

// The folder of the run that is to be continued, or of the new one: adapter_path itself, or
// replacing_folder() where there is, or was, a finished run to replace.
std::filesystem::path run_folder(const TrainingSettings& settings);

// Where the finished run in `adapter_path` is kept when another takes its place: beside it, with
// the time of its last save: "adapters.2026-11-28T10-09-46Z".
std::filesystem::path earlier_run_folder(const std::filesystem::path& adapter_path);

// Puts the run of replacing_folder() in the place of the one that it replaces when it is finished:
// after its last update, and again before a run, as the first time may not have come to its end.
// The earlier run's own files are kept in another folder, which is returned: earlier_run_folder(),
// or one of that name in `adapter_path` where beside it none can be. Throws Error(kEnvironment)
// when a file cannot be moved.
std::optional<std::filesystem::path> settle_finished_run(const std::filesystem::path& adapter_path);

// Removes what a run without a checkpoint left in replacing_folder(); what is not a run's stays.
void remove_replacing_run(const std::filesystem::path& adapter_path);

}  // namespace loadline
