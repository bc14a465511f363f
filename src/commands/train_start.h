// What `loadline train` says before it begins.
#pragma once

#include <cstdio>
#include <string>

#include "commands/train_choice.h"
#include "commands/train_options.h"
#include "machine/facts.h"
#include "training/settings.h"
#include "workload/workload.h"

namespace loadline {

// Model, adapter, who said what, effective batch, updates and their rates, memory against the
// budget, the distrust term where there is one, what the cut of long rows loses, a rank of no use,
// rows that repeat in an update or are validated on too, and a finished run that is replaced: a
// line each.
void say_start(std::FILE* out, const TrainingSettings& settings, const TrainOptions& options,
               const Workload& workload, const TrainChoice& choice, const Budget& budget);

// "Distrust: additive; ..."; empty where it is off.
std::string distrust_line(const DistrustSettings& distrust);

}  // namespace loadline
