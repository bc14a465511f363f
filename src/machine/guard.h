// The small process that outlives us for a moment, to end what we have started.
#pragma once

#include <sys/types.h>

#include <string>

namespace loadline {

// Forks a process that waits on `line` for a process group's number and then for its end. At the
// end (all writers are dead) it kills that group, everything in the control group `folder` (may be
// empty) and removes the folder. It holds no other descriptor of ours and ignores Ctrl-C.
// Returns its process id, or -1 when no process can be made.
pid_t start_guard_process(int line, const std::string& folder);

}  // namespace loadline
