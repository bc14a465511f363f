// How the threads of an OpenMP team wait for each other: GNU's libgomp lets them spin 300,000 times
// before they sleep, which takes 15 ms on a CPU whose pause lasts 140 cycles. Where another process
// has one of the cores, each wait costs that much, and a step of many short ones a hundred times
// its own time (docs/performance.md). libgomp reads its environment once, when it is loaded.
#pragma once

#include <optional>
#include <string>

namespace loadline {

// "NAME=VALUE" for the environment of a process that computes; nothing where the user has chosen
// (OMP_WAIT_POLICY or GOMP_SPINCOUNT).
std::optional<std::string> short_waits();

// Begins this program again with that in its environment. Returns where there is nothing to change,
// and where it cannot be done: then waits are long.
void begin_again_with_short_waits(char** arguments);

}  // namespace loadline
