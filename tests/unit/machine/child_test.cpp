#include "machine/child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <functional>
#include <thread>

#include "base/error.h"
#include "base/file_lock.h"
#include "machine/interrupt.h"
#include "machine/kernel_file.h"
#include "machine/process_activity.h"
#include "machine/process_memory.h"

namespace loadline {
namespace {

class ChildTest : public testing::Test {
 protected:
  ChildCommand shell(const std::string& script) {
    return {.arguments = {"sh", "-c", script},
            .environment = {"PATH=/usr/bin:/bin", "ONE=1"},
            .output = folder_.path() / "output"};
  }
  ChildExit wait_for(Child& child) {
    for (int i = 0; i < 1000; ++i) {
      if (const auto exit = child.poll_exit()) return *exit;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "the child did not end";
    return {};
  }
  std::string output() { return read_file(folder_.path() / "output", 1_MiB); }

  TemporaryFolder folder_;
  std::unique_ptr<Cap> cap_ = make_cap(CapKind::kRlimit, 1_GiB, "child");
};

TEST_F(ChildTest, ExitCodesAndSignalsAreToldApart) {
  Child exits(shell("exit 9"), *cap_);
  EXPECT_EQ(wait_for(exits).code, 9);
  EXPECT_EQ(wait_for(exits).signal, 0);
  Child dies(shell("kill -SEGV $$"), *cap_);
  EXPECT_EQ(wait_for(dies).signal, SIGSEGV);
}

TEST_F(ChildTest, WhereTheKernelReapedItThatItEndedIsKnownButNotHow) {
  ::signal(SIGCHLD, SIG_IGN);
  {
    Child child(shell("exit 9"), *cap_);
    EXPECT_FALSE(wait_for(child).is_known);
    EXPECT_EQ(wait_for(child).code, 0);
  }
  keep_ended_children();
  Child child(shell("exit 9"), *cap_);
  EXPECT_TRUE(wait_for(child).is_known);
  EXPECT_EQ(wait_for(child).code, 9);
}

TEST_F(ChildTest, TheEnvironmentIsWhatWasGiven) {
  Child child(shell("env | grep -v -E '^(PWD|SHLVL|_|OLDPWD)=' | sort"), *cap_);
  wait_for(child);
  EXPECT_EQ(output(), "ONE=1\nPATH=/usr/bin:/bin\n");
}

TEST(WorkerEnvironment, KeepsWhatAWorkerNeedsAndNothingElse) {
  const std::vector<std::pair<const char*, bool>> names{
      {"HF_HOME", true},      {"OMP_PROC_BIND", true},   {"LC_ALL", true},
      {"HF_TOKEN", false},    {"HF_TOKEN_PATH", false},  {"LD_PRELOAD_OF_MINE", false},
      {"PYTHONPATH", false},  {"AWS_SECRET_KEY", false}, {"SSH_AUTH_SOCK", false},
      {"HTTPS_PROXY", false}, {"LANGUAGE_OF", false}};
  for (const auto& [name, kept] : names) ::setenv(name, "value", 1);
  const auto environment = worker_environment();
  for (const auto& [name, kept] : names) {
    const std::string entry = std::string(name) + "=value";
    EXPECT_EQ(std::count(environment.begin(), environment.end(), entry), kept ? 1 : 0) << name;
    ::unsetenv(name);
  }
}

TEST_F(ChildTest, TheDataLimitIsSet) {
  Child child(shell("ulimit -d; ulimit -c"), *cap_);
  wait_for(child);
  EXPECT_EQ(output(), "1048576\n0\n");
}

TEST_F(ChildTest, IgnoredSignalsAreNotInherited) {
  ::signal(SIGTERM, SIG_IGN);
  Child child(shell("kill -TERM $$; echo alive"), *cap_);
  ::signal(SIGTERM, SIG_DFL);
  EXPECT_EQ(wait_for(child).signal, SIGTERM);
}

TEST_F(ChildTest, ClosedPipesThatWeIgnoreEndAChildAllTheSame) {
  ignore_closed_pipes();
  Child child(shell("kill -PIPE $$"), *cap_);
  ::signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(wait_for(child).signal, SIGPIPE);
}

// A group that is known only once the child is inside it, as of a systemd scope.
class LateGroup final : public Cap {
 public:
  explicit LateGroup(std::filesystem::path found) : found_(std::move(found)) {}
  [[nodiscard]] CapKind kind() const override { return CapKind::kSystemdScope; }
  [[nodiscard]] std::filesystem::path folder() const override { return folder_; }
  void observe(pid_t /*child*/) override { folder_ = found_; }

 private:
  std::filesystem::path found_, folder_;
};

// A process that starts `command` in the group, looks, and is killed.
void search_that_dies(const ChildCommand& command, const std::filesystem::path& group) {
  const pid_t search = ::fork();
  if (search == 0) {
    LateGroup cap(group);
    Child child(command, cap);
    child.observe();
    ::raise(SIGKILL);
  }
  ::waitpid(search, nullptr, 0);
}

// The guard empties a group that is known only once the child is inside.
TEST_F(ChildTest, AGroupThatIsFoundLaterIsEmptiedToo) {
  const auto group = folder_.path() / "late";
  make_folder(group);
  search_that_dies(shell("sleep 1000"), group);
  for (int i = 0; i < 1000 && std::filesystem::exists(group); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(std::filesystem::exists(group)) << "the guard did not learn of it";
}

// Removed by somebody else, systemd would go on listing it as running.
TEST_F(ChildTest, AScopeThatIsFoundLaterIsEmptiedAndLeftToSystemd) {
  const auto scope = folder_.path() / "late.scope";
  make_folder(scope);
  replace_file(scope / "cgroup.kill", "0");
  search_that_dies(shell("sleep 1000"), scope);
  for (int i = 0; i < 1000 && read_file(scope / "cgroup.kill", 1_KiB) != "1"; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(read_file(scope / "cgroup.kill", 1_KiB), "1");
  EXPECT_TRUE(std::filesystem::exists(scope));
}

TEST_F(ChildTest, DescriptorThreeArrives) {
  Child child(shell("echo hello >&3"), *cap_);
  wait_for(child);
  char text[16] = {};
  EXPECT_EQ(::read(child.protocol(), text, sizeof text), 6);
  EXPECT_STREQ(text, "hello\n");
}

TEST_F(ChildTest, AMissingProgramIsNamed) {
  ChildCommand command = shell("");
  command.arguments = {"no-such-program-anywhere"};
  try {
    Child child(command, *cap_);
    FAIL() << "it started";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), testing::HasSubstr("no-such-program-anywhere"));
  }
}

TEST_F(ChildTest, AnOutputThatCannotBeMadeIsNamed) {
  ChildCommand command = shell("true");
  command.output = folder_.path() / "missing/output";
  EXPECT_THROW(Child(command, *cap_), Error);
}

// As on kernels before 5.9 and in some containers.
void forbid_close_range() {
  sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program{.len = 4, .filter = code};
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

TEST_F(ChildTest, ItStartsAndItsGuardEndsWhereTheKernelHasNoCloseRange) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(20);  // it would wait for ever
    forbid_close_range();
    Child child(shell("exit 9"), *cap_);
    ::_exit(wait_for(child).code);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << "it was ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 9);
}

TEST_F(ChildTest, ItsEndEndsItsChildren) {
  pid_t grandchild = 0;
  {
    Child child(shell("sleep 1000 & echo $! >&3; exit 0"), *cap_);
    wait_for(child);
    char text[32] = {};
    ASSERT_GT(::read(child.protocol(), text, sizeof text - 1), 0);
    grandchild = static_cast<pid_t>(std::atoi(text));
    EXPECT_EQ(::kill(grandchild, 0), 0);
  }
  // It is init's now; wait until init has reaped it, or it is seen as a zombie.
  for (int i = 0; i < 200 && read_process_memory(grandchild); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_FALSE(read_process_memory(grandchild).has_value());
}

TEST_F(ChildTest, ActivityCountsProcessorTime) {
  Child child(shell("while :; do :; done"), *cap_);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto activity = read_activity(child.pid());
  ASSERT_TRUE(activity.has_value());
  EXPECT_GT(activity->cpu_seconds, 0.0);
  EXPECT_FALSE(read_activity(0).has_value());
}

TEST_F(ChildTest, ActivityCountsWhatIsRead) {
  if (!std::filesystem::exists("/proc/self/io")) GTEST_SKIP() << "the kernel does not count";
  Child child(shell("head -c 5000000 /dev/zero > /dev/null; sleep 1000"), *cap_);
  const auto read = [&] { return read_activity(child.pid()).value_or(ProcessActivity{}).read; };
  for (int i = 0; i < 1000 && read() < 5000000_B; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(read(), 5000000_B);
  EXPECT_LT(read(), 6000000_B);
}

// The affinity of this thread, which its children inherit, while this object lives.
class OneCore {
 public:
  OneCore() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
      if (CPU_ISSET(core, &before_)) CPU_SET(core, &one);
    }
    ::sched_setaffinity(0, sizeof one, &one);
  }
  OneCore(const OneCore&) = delete;
  OneCore& operator=(const OneCore&) = delete;
  ~OneCore() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_{};
};

TEST_F(ChildTest, WaitingForACoreThatAnotherHasIsCounted) {
  if (!std::filesystem::exists("/proc/self/schedstat")) GTEST_SKIP() << "the kernel does not count";
  const OneCore shared;
  Child one(shell("while :; do :; done"), *cap_);
  Child other(shell("while :; do :; done"), *cap_);
  for (int i = 0; i < 1000 && read_waited_seconds(one.pid()) < 0.2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(read_waited_seconds(one.pid()), 0.2);
  EXPECT_EQ(read_waited_seconds(0), 0);
}

TEST(ProcessMemory, OwnPeakIsAtLeastWhatIsResident) {
  const ProcessMemory memory = read_own_memory();
  EXPECT_GE(memory.peak, memory.resident);
  EXPECT_GT(memory.anonymous.count, 0U);
}

TEST(ProcessMemory, AProcessThatIsGoneHasNone) {
  EXPECT_FALSE(read_process_memory(4194304).has_value());
  EXPECT_TRUE(read_descendants(4194304).empty());
}

TEST(Interrupts, TheFirstIsAskedForAndTheSecondEnds) {
  const auto run = [](int times) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::signal(SIGINT, SIG_DFL);  // which a test in the background ignores
      catch_interrupts();
      if (interrupted()) ::_exit(1);
      for (int i = 0; i < times; ++i) ::raise(SIGINT);
      ::_exit(interrupted() ? 50 : 2);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(run(1), 50);
  EXPECT_EQ(run(2), 128 + SIGINT);
}

// What a process of its own answers: 0 is yes, 128 + n the signal that ended it.
int answer_of_fork(const std::function<bool()>& ask) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(ask() ? 0 : 1);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(Interrupts, ATerminalThatClosesAsksHoweverOftenItSaysSo) {
  EXPECT_EQ(answer_of_fork([] {
              catch_interrupts();
              for (const int number : {SIGHUP, SIGHUP, SIGTERM}) ::raise(number);
              return interrupted();
            }),
            0);
}

TEST(Interrupts, WhatIsIgnoredOnEntryStaysIgnored) {
  for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
    EXPECT_EQ(answer_of_fork([number] {
                ::signal(number, SIG_IGN);
                catch_interrupts();
                ::raise(number);
                ::raise(number);
                const bool asked = interrupted();
                release_interrupts();
                ::raise(number);
                return !asked;
              }),
              0)
        << number;
  }
}

volatile std::sig_atomic_t own_handler_calls = 0;

TEST(Interrupts, AfterwardsASignalDoesWhatItDidBefore) {
  EXPECT_EQ(answer_of_fork([] {
              ::signal(SIGINT, [](int) { own_handler_calls = own_handler_calls + 1; });
              catch_interrupts();
              catch_interrupts();
              ::raise(SIGINT);
              release_interrupts();
              ::raise(SIGINT);
              return interrupted() && own_handler_calls == 1;
            }),
            0);
}

TEST(FileLock, OneProcessAtATimeHoldsIt) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "lock";
  {
    const auto first = lock_file(path);
    ASSERT_TRUE(first.has_value());
    EXPECT_FALSE(lock_file(path).has_value());
  }
  EXPECT_TRUE(lock_file(path).has_value());
  EXPECT_THROW(lock_file(folder.path() / "missing/lock"), Error);
}

TEST(KernelFile, FieldsAreWholeWords) {
  const std::string text = "VmHWM:\t  123 kB\noom_kill_disable 7\noom_kill 2\nempty:\n";
  EXPECT_EQ(kernel_field(text, "oom_kill"), 2U);
  EXPECT_EQ(kernel_field_kib(text, "VmHWM:"), 123_KiB);
  EXPECT_FALSE(kernel_field(text, "empty:").has_value());
  EXPECT_FALSE(kernel_field(text, "VmRSS:").has_value());
  EXPECT_FALSE(read_kernel_file("/proc/self/no-such-file").has_value());
  EXPECT_TRUE(write_kernel_file("/proc/self/no-such-file", "1").has_value());
}

}  // namespace
}  // namespace loadline
