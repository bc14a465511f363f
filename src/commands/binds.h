// What a configuration's memory goes to, at the moment when it needs the most.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "model/memory_plan.h"

namespace loadline {

struct MemoryShare {
  std::string what;  // "saved activations", "tokens x vocabulary", "frozen weights" ...
  Bytes bytes;
};

// The plan's lines that live at the fullest tick, and the process, in groups; the largest first.
std::vector<MemoryShare> what_binds(const MemoryPlan& plan);

}  // namespace loadline
