// The small process that outlives us for a moment, to end what we have started.
#pragma once

#include <sys/types.h>

#include <string>

namespace loadline {

// Forks a process that waits on `line` for a process group's number (a pid_t), for the path of a
// control group where `folder` is still empty, and then for the line's end. At the end (all writers
// are dead) it kills that process group and everything in the control group, and removes the
// latter. It holds no other descriptor of ours, and no signal but SIGKILL ends it.
// Returns its process id, or -1 when no process can be made.
pid_t start_guard_process(int line, const std::string& folder);

}  // namespace loadline
