// The folder that a training run writes into.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// Holds settings.adapter_path, made if missing, for one run as long as the descriptor lives, kill
// -9 included. Throws Error(kEnvironment) naming the folder when it cannot be written or another
// run holds it; Error(kUsage) when it holds an unfinished run that is not to be resumed, or no run
// of these settings, this model and these rows that could be. `changed`: as require_same_run() has
// it.
FileDescriptor hold_adapter_folder(const TrainingSettings& settings, const PackedRows& train,
                                   const std::vector<std::string>& changed = {});

// Throws Error(kUsage) where a new run's adapter would lie among what is not its own: the files of
// a model or of a search, or one of `data`.
void require_folder_of_its_own(const std::filesystem::path& folder,
                               const std::vector<std::filesystem::path>& data);

// For --resume, before anything is asked for or read there: throws Error(kEnvironment) where
// another run holds the folder, and Error(kUsage) where no checkpoint is there. A finished run that
// was killed while it took another's place takes it; else nothing is made.
void require_resumable(const TrainingSettings& place);

}  // namespace loadline
