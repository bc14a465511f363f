// train --resume-adapter-file: a new run that starts from an adapter.
#pragma once

#include "commands/train_options.h"
#include "workload/workload.h"

namespace loadline {

// Rank, layers, targets and alpha come from the adapter, and a profile of the run names it. Throws
// Error(kUsage) with both values where a flag says otherwise.
void take_adapter(Workload& workload, TrainOptions& options);

}  // namespace loadline
