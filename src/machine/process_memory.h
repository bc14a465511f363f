// A process's own memory as the kernel counts it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <vector>

#include "base/bytes.h"

namespace loadline {

struct ProcessMemory {
  Bytes peak;       // VmHWM, not ru_maxrss: Linux seeds that with the parent's peak
  Bytes resident;   // VmRSS
  Bytes anonymous;  // RssAnon
  Bytes file;       // RssFile
  Bytes swapped;    // VmSwap
};

// Of this process. Throws Error(kEnvironment) when /proc/self/status cannot be read.
ProcessMemory read_own_memory();
// Of another one; nothing when it is gone.
std::optional<ProcessMemory> read_process_memory(pid_t pid);

// What these hold together (Pss: a page that they share counts once). The kernel walks their page
// tables for it, so ask seldom.
Bytes read_tree_memory(const std::vector<pid_t>& processes);

}  // namespace loadline
