// What a configuration that does not fit could be instead.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "training/settings.h"
#include "workload/workload.h"

namespace loadline {

// kTrainWithProfile: flags that leave the profile behind name its batch, rank and layers too. kPlan
// has no --batching.
enum class AskedBy : std::uint8_t { kTrain, kTrainWithProfile, kPlan };

// "Each of these alone would fit:", a line for each flag that is enough with what it would need,
// the mildest first; else the mildest of several together; else that there is none. Where nobody
// said it, checkpointing is as auto would have it. Cutting rows comes last, with the share of
// tokens that it loses.
std::string ways_out(const Workload& workload, const TrainingSettings& settings, Bytes budget,
                     double margin, AskedBy asked_by);

}  // namespace loadline
