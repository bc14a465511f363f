// What other processes do, as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace loadline {

struct ProcessActivity {
  double cpu_seconds = 0;          // user and system, all threads, and children that have ended
  std::uint64_t major_faults = 0;  // pages that had to come from a disk
  // By calls that have returned, from wherever; pages that were mapped or swapped do not count. 0
  // where the kernel does not tell.
  Bytes read;
};
// Nothing when it is gone.
std::optional<ProcessActivity> read_activity(pid_t pid);

// How long the thread that fared worst was ready to run and had no core; 0 where the kernel does
// not count it.
double read_waited_seconds(pid_t pid);

// The living processes that it has started, and theirs; of a thousand the first.
std::vector<pid_t> read_descendants(pid_t pid);

}  // namespace loadline
