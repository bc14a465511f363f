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

// What the command takes values from by name, "--profile NAME" or "--conservative", and which of
// the three it has besides: where all are given nothing is left to take, and that is refused.
struct NamedSource {
  std::string flags;
  bool has_batch = false, has_rank = false, has_layers = false;
};

// "Each of these alone would fit:", a line for each flag that is enough with what it would need,
// the mildest first; else the mildest of several together; else that there is none. Where nobody
// said it, checkpointing is as auto would have it. Cutting rows comes last, with the share of
// tokens that it loses. A line that leaves nothing to take from the named source stands in its
// place.
std::string ways_out(const Workload& workload, const TrainingSettings& settings, Bytes budget,
                     double margin, AskedBy asked_by, const NamedSource& source = {});

}  // namespace loadline
