// A process of another program: started clean, watched, and ended with all that it started.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "machine/cap.h"

namespace loadline {

struct ChildCommand {
  // The program is looked for on PATH when it has no slash.
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"
  std::filesystem::path output;          // takes stdout and stderr; made anew
};

// This process's environment, less everything that a worker has no business with. Kept: PATH, HOME,
// USER, LANG, LC_*, TZ, TMPDIR, LD_LIBRARY_PATH, XDG_*, HF_* but the token, OMP_*, GOMP_*, KMP_*,
// DNNL_*, ONEDNN_*, MALLOC_*, GLIBC_TUNABLES and the sanitizers' options.
std::vector<std::string> worker_environment();

struct ChildExit {
  int code = 0;          // of exit(); 0 when a signal ended it
  int signal = 0;        // 0 when it exited by itself
  bool is_known = true;  // false: it is gone, and nobody can tell how it ended
};

// The child begins with:
// stdin /dev/null; stdout and stderr in `output`; descriptor 3 to write to us; no other descriptor;
// default signal handling; a process group of its own; SIGKILL from the kernel when the thread that
// started it ends (so start it from one that stays); no core dump; oom_score_adj 1000, so that the
// kernel would choose it and never the desktop; and it is inside `cap` before its program starts.
// A guard (a small process that only waits) kills the child's whole group and empties its cgroup if
// we die without ending it, be it by SIGKILL.
class Child {
 public:
  // Throws Error(kEnvironment) naming the program and the reason when it cannot be started.
  // `cap` must outlive the child.
  Child(const ChildCommand& command, Cap& cap);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  // Ends the child and all that it started.
  ~Child();

  [[nodiscard]] pid_t pid() const { return pid_; }
  // Where its descriptor 3 arrives; does not block; at its end when all writers have closed.
  [[nodiscard]] int protocol() const { return protocol_.get(); }
  // How it ended, once it did.
  [[nodiscard]] std::optional<ChildExit> poll_exit();
  // To its process group.
  void signal_group(int number);
  // SIGKILL to the group and to everything in the cap's cgroup, also after the child itself ended.
  void kill_all();
  // Lets the cap see where the child is. To be called now and then, and once it has ended.
  void observe();

 private:
  void start_guard();
  void stop_guard();

  Cap& cap_;
  pid_t pid_ = -1;
  pid_t guard_ = -1;
  FileDescriptor guard_line_;  // its closing is what the guard waits for
  // The other end of it, kept open here too: a guard that was killed costs no SIGPIPE.
  FileDescriptor guard_line_end_;
  bool guard_knows_group_ = false;
  FileDescriptor protocol_;
  std::optional<ChildExit> exit_;
};

}  // namespace loadline
