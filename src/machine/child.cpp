#include "machine/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/error.h"
#include "machine/guard.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// Descriptors are set up above the places where the child wants them, so that none is overwritten.
constexpr int kAboveWanted = 10;

std::string reason(int number) { return std::generic_category().message(number); }

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

struct Pipe {
  FileDescriptor read, write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    throw environment_error("a pipe cannot be made: {}", reason(errno));
  }
  const FileDescriptor low_read(ends[0]);
  const FileDescriptor low_write(ends[1]);
  Pipe pipe{FileDescriptor(::fcntl(ends[0], F_DUPFD_CLOEXEC, kAboveWanted)),
            FileDescriptor(::fcntl(ends[1], F_DUPFD_CLOEXEC, kAboveWanted))};
  if (!pipe.read.is_open() || !pipe.write.is_open()) {
    throw environment_error("a pipe cannot be made: {}", reason(errno));
  }
  return pipe;
}

FileDescriptor open_high(const fs::path& path, int flags) {
  const FileDescriptor low(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  FileDescriptor high(low.is_open() ? ::fcntl(low.get(), F_DUPFD_CLOEXEC, kAboveWanted) : -1);
  if (!high.is_open()) {
    throw environment_error("{}: cannot be opened: {}", path.string(), reason(errno));
  }
  return high;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    std::string candidate = std::string(rest.substr(0, colon)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return name;
}

std::vector<char*> c_strings(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  // execve takes non-const pointers and does not write through them.
  for (const std::string& text : strings) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// All that the child needs between fork and exec, made before: there, only calls that are safe in a
// copy of a many-threaded process are allowed (no allocation, no locks).
struct Launch {
  std::string program;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  int null_input = -1, output = -1, protocol = -1, failure = -1;
  int entrance = -1, held = -1;
  std::optional<rlim_t> data_limit;
  pid_t parent = 0;
};

[[noreturn]] void fail(const Launch& launch, int number) {
  (void)!::write(launch.failure, &number, sizeof number);
  ::_exit(127);
}

// While this lives, no signal is handled in this thread: a fork must not run our handlers.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

void handle_all(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &action, nullptr);
}

void reset_signals() {
  handle_all(SIG_IGN);  // what came until now was meant for our own group
  handle_all(SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool place_descriptors(const Launch& launch) {
  if (::dup2(launch.null_input, 0) < 0 || ::dup2(launch.output, 1) < 0 ||
      ::dup2(launch.output, 2) < 0 || ::dup2(launch.protocol, 3) < 0) {
    return false;
  }
  int first_closed = 4;
  if (launch.held >= 0) {
    if (::dup2(launch.held, first_closed++) < 0) return false;
  }
  const auto first = static_cast<unsigned>(first_closed);
  if (::close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return true;
  for (int fd = first_closed; fd < 65536; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return true;
}

void raise_oom_score() {
  const int fd = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!::write(fd, "1000", 4);
  ::close(fd);
}

bool enter_cap(const Launch& launch) {
  if (launch.entrance >= 0 && ::write(launch.entrance, "0", 1) != 1) return false;
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  if (!launch.data_limit) return true;
  rlimit data{};
  if (::getrlimit(RLIMIT_DATA, &data) != 0) return false;
  // Only root may raise a hard limit; a tighter one than the cap holds as well.
  data.rlim_max = std::min(*launch.data_limit, data.rlim_max);
  data.rlim_cur = data.rlim_max;
  return ::setrlimit(RLIMIT_DATA, &data) == 0;
}

[[noreturn]] void become(const Launch& launch) {
  ::setpgid(0, 0);
  // The parent may have died before the kernel was told to end us with it.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(launch, errno);
  if (::getppid() != launch.parent) ::_exit(127);
  reset_signals();
  raise_oom_score();
  if (!enter_cap(launch) || !place_descriptors(launch)) fail(launch, errno);
  ::execve(launch.program.c_str(), launch.arguments.data(), launch.environment.data());
  fail(launch, errno);
}

// 0 when the program runs; else the errno that the child found on its way there.
int wait_for_exec(const FileDescriptor& failure) {
  int number = 0;
  ssize_t got = 0;
  while ((got = ::read(failure.get(), &number, sizeof number)) < 0 && errno == EINTR) {
  }
  return got == static_cast<ssize_t>(sizeof number) ? number : 0;
}

bool is_kept(std::string_view variable) {
  constexpr std::array kNames{"PATH=",
                              "HOME=",
                              "USER=",
                              "LANG=",
                              "TZ=",
                              "TMPDIR=",
                              "LD_LIBRARY_PATH=",
                              "GLIBC_TUNABLES=",
                              "ASAN_OPTIONS=",
                              "UBSAN_OPTIONS=",
                              "LSAN_OPTIONS=",
                              "LC_",
                              "XDG_",
                              "HF_",
                              "OMP_",
                              "GOMP_",
                              "KMP_",
                              "DNNL_",
                              "ONEDNN_",
                              "MALLOC_",
                              "DBUS_SESSION_BUS_ADDRESS="};
  if (variable.starts_with("HF_TOKEN")) return false;  // a worker reads what is here already
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* name) { return variable.starts_with(name); });
}

}  // namespace

std::vector<std::string> worker_environment() {
  std::vector<std::string> kept;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (is_kept(*entry)) kept.emplace_back(*entry);
  }
  return kept;
}

Child::Child(const ChildCommand& command, Cap& cap) : cap_(cap) {
  const std::vector<std::string> wrapped = cap.wrap(command.arguments);
  const FileDescriptor null_input = open_high("/dev/null", O_RDONLY);
  const FileDescriptor output = open_high(command.output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  Pipe protocol = make_pipe();
  Pipe failure = make_pipe();
  Launch launch{.program = find_program(wrapped.at(0)),
                .arguments = c_strings(wrapped),
                .environment = c_strings(command.environment),
                .null_input = null_input.get(),
                .output = output.get(),
                .protocol = protocol.write.get(),
                .failure = failure.write.get(),
                .entrance = cap.entrance(),
                .held = cap.held_descriptor(),
                .data_limit = {},
                .parent = ::getpid()};
  if (cap.data_limit()) launch.data_limit = cap.data_limit()->count;
  {
    const BlockedSignals blocked;
    start_guard();
    if (guard_ > 0) pid_ = ::fork();
    if (pid_ == 0) become(launch);
  }
  if (pid_ < 0) {
    const int number = errno;
    stop_guard();
    throw environment_error("{}: no process can be made: {}", wrapped[0], reason(number));
  }
  ::setpgid(pid_, pid_);
  (void)!::write(guard_line_.get(), &pid_, sizeof pid_);
  failure.write.close();
  if (const int number = wait_for_exec(failure.read)) {
    reap(pid_);
    stop_guard();
    throw environment_error("{}: the worker cannot be started: {}", wrapped[0], reason(number));
  }
  ::fcntl(protocol.read.get(), F_SETFL, O_NONBLOCK);
  protocol_ = std::move(protocol.read);
}

Child::~Child() {
  kill_all();
  reap(pid_);
  stop_guard();
}

std::optional<ChildExit> Child::poll_exit() {
  if (exit_) return exit_;
  siginfo_t info{};
  // Not reaped: as long as it is a zombie, its number and its group's cannot become another's.
  const int flags = WEXITED | WNOHANG | WNOWAIT;
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, flags) != 0) {
    // Somebody reaped it: where SIGCHLD is ignored, the kernel does.
    if (errno == ECHILD) exit_ = ChildExit{.is_known = false};
    return exit_;
  }
  if (info.si_pid != pid_) return std::nullopt;
  const bool exited = info.si_code == CLD_EXITED;
  exit_ = ChildExit{.code = exited ? info.si_status : 0, .signal = exited ? 0 : info.si_status};
  return exit_;
}

void Child::signal_group(int number) { ::kill(-pid_, number); }

void Child::kill_all() {
  ::kill(-pid_, SIGKILL);
  cap_.kill_all();
}

void Child::observe() {
  cap_.observe(pid_);
  const std::string group = cap_.folder().string();
  if (guard_knows_group_ || group.empty()) return;
  guard_knows_group_ = true;
  (void)!::write(guard_line_.get(), group.data(), group.size());
}

void Child::start_guard() {
  Pipe line = make_pipe();
  const std::string group = cap_.folder().string();
  guard_knows_group_ = !group.empty();
  guard_ = start_guard_process(line.read.get(), group);
  guard_line_ = std::move(line.write);
  guard_line_end_ = std::move(line.read);
}

void Child::stop_guard() {
  if (guard_ <= 0) return;
  ::kill(guard_, SIGKILL);
  reap(guard_);
  guard_ = -1;
}

}  // namespace loadline
