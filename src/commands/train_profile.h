// Which saved profile `train` takes.
#pragma once

#include <vector>

#include "commands/train_choice.h"
#include "machine/facts.h"
#include "report/profile.h"
#include "workload/workload.h"

namespace loadline {

// Of `profiles`: one whose key agrees, else one that was proven on longer rows and agrees in all
// else, as shorter rows never need more (docs/search.md). Where batch size, rank and layers are all
// given, only one of these very values: nothing is left to take from it but their proof.
ProfileMatch matching_profile(std::vector<Profile> profiles, const GivenFlags& given,
                              const Workload& workload, const MachineFacts& machine);

}  // namespace loadline
