// The processor, and how much of it this process may use.
#pragma once

#include <filesystem>

#include "machine/facts.h"

namespace loadline {

// From /proc/cpuinfo, the affinity in /proc/self/status and the cgroup's CPU quota below `root`.
// Throws Error(kEnvironment) naming the file when /proc/cpuinfo cannot be read.
CpuFacts read_cpu(const std::filesystem::path& root);

}  // namespace loadline
