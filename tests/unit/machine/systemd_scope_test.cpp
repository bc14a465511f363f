// A cap by the user's systemd, with a systemd-run of our own on PATH: it notes what it was asked
// for, does in made folders what systemd does, and becomes the command.
#include "machine/systemd_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "base/error.h"
#include "machine/child.h"
#include "machine/kernel_file.h"
#include "made_root.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// An environment variable for the life of this object.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;
  ~Variable() { set(before_); }

 private:
  void set(const std::optional<std::string>& value) const {
    if (value) {
      ::setenv(name_, value->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  const char* name_;
  std::optional<std::string> before_;
};

class SystemdScopeTest : public testing::Test {
 protected:
  SystemdScopeTest() { root_.mount_v2("/user.slice/session.scope"); }

  // What systemd-run does before it becomes the command.
  void systemd_run(const std::string& script) {
    const fs::path file = tools_.path() / "systemd-run";
    replace_file(file, "#!/bin/sh\nhere=" + tools_.path().string() +
                           "\nmount=" + root_.path().string() + "/sys/fs/cgroup\n" + script);
    fs::permissions(file, fs::perms::owner_all);
  }
  void honest_systemd_run(const std::string& max = "${word#--property=MemoryMax=}") {
    systemd_run(
        "printf '%s\\n' \"$@\" > \"$here/asked\"\n"
        "for word; do case $word in --property=MemoryMax=*) max=" +
        max +
        ";; esac; done\n"
        "group=$(sed -n s/^0:://p /proc/self/cgroup)\n"
        "mkdir -p \"$mount$group\" && echo \"$max\" > \"$mount$group/memory.max\"\n"
        "while [ \"$1\" != -- ]; do shift; done\n"
        "shift\n"
        "exec \"$@\"\n");
  }
  std::unique_ptr<Cap> make() { return make_systemd_scope(300_MiB, "trial-1", root_.path()); }
  void expect_refused(const std::string& part) {
    try {
      make();
      ADD_FAILURE() << "a scope was promised";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  MadeRoot root_;
  TemporaryFolder tools_;
  Variable path_{"PATH", tools_.path().string() + ":" + std::getenv("PATH")};
  Variable bus_{"DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus"};
};

TEST_F(SystemdScopeTest, TheCommandLineAsksForTheCeilingAndNoSwap) {
  honest_systemd_run();
  const auto cap = make();
  EXPECT_EQ(cap->kind(), CapKind::kSystemdScope);
  const auto words = cap->wrap({"/proc/self/exe", "worker", "--spec", "a file"});
  ASSERT_EQ(words.size(), 17U);
  EXPECT_EQ(words[0], "systemd-run");
  EXPECT_THAT(std::vector(words.begin() + 1, words.begin() + 5),
              ElementsAre("--user", "--scope", "--quiet", "--collect"));
  EXPECT_THAT(words[5], testing::MatchesRegex("--unit=loadline-[0-9]+-" +
                                              std::to_string(::getpid()) + "-[0-9]+-trial-1"));
  EXPECT_THAT(std::vector(words.begin() + 6, words.begin() + 11),
              ElementsAre("--property=MemoryMax=314572800", "--property=MemorySwapMax=0", "--",
                          "/bin/sh", "-c"));
  EXPECT_THAT(std::vector(words.begin() + 12, words.end()),
              ElementsAre("loadline-trial", "/proc/" + std::to_string(::getpid()) + "/exe",
                          "worker", "--spec", "a file"));
}

TEST_F(SystemdScopeTest, AChildSpeaksThroughItAndEndsWithItsOwnCode) {
  honest_systemd_run();
  const auto cap = make();
  Child child({.arguments = {"/bin/sh", "-c", "echo hello >&3; ls /proc/self/fd | wc -l; exit 7"},
               .environment = worker_environment(),
               .output = tools_.path() / "output"},
              *cap);
  std::optional<ChildExit> exit;
  for (int i = 0; i < 1000 && !(exit = child.poll_exit()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(exit.has_value());
  EXPECT_EQ(exit->code, 7);
  char text[16] = {};
  EXPECT_EQ(::read(child.protocol(), text, sizeof text), 6);
  EXPECT_STREQ(text, "hello\n");
  EXPECT_THAT(read_file(tools_.path() / "asked", 1_MiB), HasSubstr("MemoryMax=314572800"));
  // 0 to 3 and the folder that ls has open: the line that holds the scope is not the worker's.
  EXPECT_EQ(read_file(tools_.path() / "output", 1_MiB), "5\n");
}

// As on kernels before 5.14, which have no cgroup.kill.
TEST_F(SystemdScopeTest, WhereTheKernelKillsNoGroupAtOnceItsProcessesAreKilledOneByOne) {
  honest_systemd_run();
  const auto cap = make();
  const std::string escape =
      "setsid sh -c 'echo $$ >&3; exec sleep 1000 >/dev/null 2>&1 3>&-' & wait";
  Child child({.arguments = {"/bin/sh", "-c", escape},
               .environment = worker_environment(),
               .output = tools_.path() / "output"},
              *cap);
  std::string text;
  while (!text.ends_with('\n')) {
    char piece[16];
    const ssize_t n = ::read(child.protocol(), piece, sizeof piece);
    if (n > 0) text.append(piece, static_cast<std::size_t>(n));
  }
  // What the kernel says of a process that systemd has put into its scope.
  const std::string scope = cap->wrap({"x"})[5].substr(std::string("--unit=").size()) + ".scope";
  root_.write("proc/" + std::to_string(child.pid()) + "/cgroup", "0::/user.slice/" + scope + "\n");
  root_.write("sys/fs/cgroup/user.slice/" + scope + "/cgroup.procs", text);
  child.observe();
  ASSERT_EQ(cap->folder().filename(), scope);
  child.kill_all();
  const auto escaped = static_cast<pid_t>(std::stoi(text));
  const auto runs = [&] {
    const auto stat = read_process_stat(escaped);
    return !stat.empty() && stat[0] != "Z";
  };
  for (int i = 0; i < 400 && runs(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(runs());
  ::kill(escaped, SIGKILL);
}

TEST_F(SystemdScopeTest, WithoutASessionBusThereIsNone) {
  honest_systemd_run();
  const Variable no_bus("DBUS_SESSION_BUS_ADDRESS", std::nullopt);
  const Variable no_folder("XDG_RUNTIME_DIR", std::nullopt);
  expect_refused("no session bus");
}

TEST_F(SystemdScopeTest, WhatSystemdSaysIsPassedOn) {
  systemd_run("echo 'Failed to connect to bus: No such file' >&2; exit 1\n");
  expect_refused("Failed to connect to bus");
}

TEST_F(SystemdScopeTest, ACeilingThatWasNotSetIsNoCap) {
  honest_systemd_run("max");
  expect_refused("did not get its ceiling: max");
}

TEST_F(SystemdScopeTest, WhereItFailsTheNextBestIsTakenAndTheReasonNoted) {
  systemd_run("echo 'Access denied' >&2; exit 1\n");
  const CapChoice choice = choose_cap(root_.path());
  EXPECT_EQ(choice.best.kind, CapKind::kRlimit);
  ASSERT_EQ(choice.notes.size(), 3U);
  EXPECT_THAT(choice.notes[1], HasSubstr("Access denied"));
}

TEST_F(SystemdScopeTest, WhereNoGroupCanBeMadeByHandItIsChosen) {
  honest_systemd_run();
  const auto best = choose_cap(root_.path()).best;
  EXPECT_EQ(best.kind, CapKind::kSystemdScope);
  EXPECT_EQ(best.why, "systemd-run --user --scope: a limited group was made and entered");
}

}  // namespace
}  // namespace loadline
