#include "machine/guard.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace loadline {
namespace {

// Everything here runs in a fork of a process that may have many threads: only calls that are safe
// in a signal handler.

// A control group's folder, and the paths of its files.
class GuardedGroup {
 public:
  explicit GuardedGroup(std::string_view folder) { add(folder); }

  void add(std::string_view piece) {
    if (piece.size() >= PATH_MAX - length_) return;
    std::memcpy(folder_ + length_, piece.data(), piece.size());
    length_ += piece.size();
  }
  [[nodiscard]] bool is_known() const { return length_ > 0; }
  [[nodiscard]] bool is_scope() const {
    return std::string_view(folder_, length_).ends_with(".scope");
  }
  [[nodiscard]] const char* folder() const { return folder_; }
  // The next call overwrites it.
  const char* file(std::string_view name) {
    std::memcpy(file_, folder_, length_);
    file_[length_] = '/';
    std::memcpy(file_ + length_ + 1, name.data(), name.size());
    file_[length_ + 1 + name.size()] = '\0';
    return file_;
  }

 private:
  char folder_[PATH_MAX] = {};
  char file_[PATH_MAX + 32] = {};
  std::size_t length_ = 0;
};

// What the guard would hold open, the search would wait for. Kernels before 5.9 and some containers
// have no close_range().
void close_all_but(int line) {
  constexpr int kMost = 65536;
  const auto kept = static_cast<unsigned>(line);
  const bool below = kept == 0 || ::close_range(0, kept - 1, 0) == 0;
  if (below && ::close_range(kept + 1, ~0U, 0) == 0) return;
  for (int fd = 0; fd < kMost; ++fd) {
    if (fd != line) ::close(fd);
  }
}

// v2: the whole group at once, and what it forks meanwhile.
void kill_at_once(const char* kill_file) {
  const int fd = ::open(kill_file, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, "1", 1);
  ::close(fd);
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

// A scope's folder is systemd's to remove, once it is empty: where somebody else does, systemd goes
// on listing the scope as running.
bool is_removed(GuardedGroup& group) {
  if (group.is_scope()) return ::access(group.folder(), F_OK) != 0 && errno == ENOENT;
  return ::rmdir(group.folder()) == 0 || errno == ENOENT;
}

void empty_and_remove(GuardedGroup& group) {
  const timespec pause{0, 10'000'000};
  for (int attempt = 0; attempt < 200; ++attempt) {
    kill_at_once(group.file("cgroup.kill"));
    kill_listed(group.file("cgroup.procs"));
    if (is_removed(group)) return;
    ::nanosleep(&pause, nullptr);
  }
}

// How many bytes came; 0 at the end of the line.
std::size_t receive(int line, void* into, std::size_t size) {
  ssize_t n = 0;
  while ((n = ::read(line, into, size)) < 0 && errno == EINTR) {
  }
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

[[noreturn]] void guard(int line, std::string_view folder) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::setpgid(0, 0);
  ::prctl(PR_SET_NAME, "loadline-guard");
  close_all_but(line);
  GuardedGroup group(folder);
  pid_t worker = 0;
  if (receive(line, &worker, sizeof worker) == sizeof worker) {
    char piece[512];
    while (const std::size_t n = receive(line, piece, sizeof piece)) group.add({piece, n});
    if (worker > 1) ::kill(-worker, SIGKILL);
  }
  if (group.is_known()) empty_and_remove(group);
  ::_exit(0);
}

}  // namespace

pid_t start_guard_process(int line, const std::string& folder) {
  const pid_t pid = ::fork();
  if (pid == 0) guard(line, folder);
  return pid;
}

}  // namespace loadline
