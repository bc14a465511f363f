// A memory plan for people and as JSON.
#pragma once

#include "base/json_fwd.h"
#include "machine/facts.h"
#include "model/memory_plan.h"

namespace loadline {

Json plan_document(const MemoryPlan& plan, const Budget& budget, double margin);
// Buffers that all layers have alike are one line; then sums by phase, and the verdict last.
void print_plan(const MemoryPlan& plan, const Budget& budget, double margin);

}  // namespace loadline
