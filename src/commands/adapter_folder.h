// The folder that a training run writes into.
#pragma once

#include "base/file.h"
#include "text/packed.h"
#include "training/settings.h"

namespace loadline {

// Holds settings.adapter_path, made if missing, for one run as long as the descriptor lives, kill
// -9 included. Throws Error(kEnvironment) naming the folder when it cannot be written or another
// run holds it; Error(kUsage) when it holds an unfinished run that is not to be resumed, or no run
// of these settings, this model and these rows that could be.
FileDescriptor hold_adapter_folder(const TrainingSettings& settings, const PackedRows& train);

}  // namespace loadline
