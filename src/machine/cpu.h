// The processor, and how much of it this process may use.
#pragma once

#include <filesystem>
#include <optional>

#include "machine/facts.h"

namespace loadline {

// From /proc/cpuinfo, the affinity in /proc/self/status and the cgroup's CPU quota below `root`.
// Throws Error(kEnvironment) naming the file when /proc/cpuinfo cannot be read.
CpuFacts read_cpu(const std::filesystem::path& root);

// What the whole machine's processors have done since its start.
struct ProcessorUse {
  int cores = 0;            // online
  double busy_seconds = 0;  // of all cores together, for whomever; what a hypervisor took included
};
// Nothing where /proc/stat does not tell.
std::optional<ProcessorUse> read_processor_use(const std::filesystem::path& root);

}  // namespace loadline
