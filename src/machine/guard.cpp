#include "machine/guard.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

namespace loadline {
namespace {

// Everything here runs in a fork of a process that may have many threads: only calls that are safe
// in a signal handler.

void close_all_but(int line) {
  const auto kept = static_cast<unsigned>(line);
  if (kept > 0) ::close_range(0, kept - 1, 0);
  ::close_range(kept + 1, ~0U, 0);
}

// Reads numbers and kills them, without an allocation.
void kill_listed(const char* procs) {
  const int fd = ::open(procs, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  char text[4096];
  long pid = 0;
  ssize_t n = 0;
  while ((n = ::read(fd, text, sizeof text)) > 0) {
    for (ssize_t i = 0; i < n; ++i) {
      if (text[i] >= '0' && text[i] <= '9') {
        pid = pid * 10 + (text[i] - '0');
      } else {
        if (pid > 1) ::kill(static_cast<pid_t>(pid), SIGKILL);
        pid = 0;
      }
    }
  }
  ::close(fd);
}

void empty_and_remove(const char* folder, const char* procs) {
  const timespec pause{0, 10'000'000};
  for (int attempt = 0; attempt < 200; ++attempt) {
    kill_listed(procs);
    if (::rmdir(folder) == 0 || errno == ENOENT) return;
    ::nanosleep(&pause, nullptr);
  }
}

// True when `into` was filled, false at the end of the line.
bool receive(int line, pid_t& into) {
  ssize_t n = 0;
  while ((n = ::read(line, &into, sizeof into)) < 0 && errno == EINTR) {
  }
  return n == static_cast<ssize_t>(sizeof into);
}

[[noreturn]] void guard(int line, const char* folder, const char* procs) {
  ::setpgid(0, 0);
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::prctl(PR_SET_NAME, "loadline-guard");
  close_all_but(line);
  pid_t group = 0;
  pid_t more = 0;
  if (receive(line, group)) {
    while (receive(line, more)) {
    }
    if (group > 1) ::kill(-group, SIGKILL);
  }
  if (folder[0] != '\0') empty_and_remove(folder, procs);
  ::_exit(0);
}

}  // namespace

pid_t start_guard_process(int line, const std::string& folder) {
  const std::string procs = folder + "/cgroup.procs";
  const pid_t pid = ::fork();
  if (pid == 0) guard(line, folder.c_str(), procs.c_str());
  return pid;
}

}  // namespace loadline
