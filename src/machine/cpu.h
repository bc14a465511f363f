// The processor, and how much of it this process may use.
#pragma once

#include <filesystem>
#include <optional>

#include "machine/facts.h"

namespace loadline {

// From /proc/cpuinfo, the affinity in /proc/self/status and the cgroup's CPU quota below `root`.
// Throws Error(kEnvironment) naming the file when /proc/cpuinfo cannot be read.
CpuFacts read_cpu(const std::filesystem::path& root);

// What the processors that this process may run on have done since the machine's start.
struct ProcessorUse {
  int cores = 0;            // online, and no more than affinity and quota allow
  double busy_seconds = 0;  // of all within the affinity, for whomever, also for a hypervisor
  // Cores' worth, where the cgroup's quota is less than the affinity: on which, nobody knows.
  std::optional<double> quota;
};
// Nothing where /proc/stat does not tell.
std::optional<ProcessorUse> read_processor_use(const std::filesystem::path& root);

}  // namespace loadline
