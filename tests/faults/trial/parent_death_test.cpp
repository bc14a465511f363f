// The search itself is killed: nothing that it started may stay.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <optional>

#include "fault.h"
#include "machine/kernel_file.h"
#include "machine/process_memory.h"
#include "trial/journal.h"

namespace loadline {
namespace {

bool is_gone(pid_t pid) { return !read_process_memory(pid).has_value(); }

struct Family {
  int worker = 0;
  int child = 0;
};

std::optional<Family> family_of(const FaultRun& trial) {
  if (!std::filesystem::exists(trial.file("stderr.txt"))) return std::nullopt;
  Family family;
  const std::string text = trial.output();
  if (std::sscanf(text.c_str(), "pids %d %d", &family.worker, &family.child) != 2) {
    return std::nullopt;
  }
  return family;
}

TEST(ParentDeath, KillingTheSearchEndsTheTrialAndItsChildren) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    // A control group is emptied of processes that have left the worker's process group, too.
    FaultRun trial(cap, {"linger", cap == CapKind::kRlimit ? "ignore" : "escape"});
    const pid_t search = ::fork();
    if (search == 0) {
      Journal journal(trial.folder.path());
      journal.started(trial.spec);
      trial.run();
      ::_exit(0);
    }
    std::optional<Family> family;
    ASSERT_TRUE(soon([&] { return (family = family_of(trial)).has_value(); }));
    EXPECT_FALSE(is_gone(family->worker));
    EXPECT_FALSE(is_gone(family->child));
    ::kill(search, SIGKILL);
    ::waitpid(search, nullptr, 0);
    EXPECT_TRUE(soon([&] { return is_gone(family->worker); }));
    EXPECT_TRUE(soon([&] { return is_gone(family->child); })) << "a grandchild lives on";
    if (cap != CapKind::kRlimit) {
      EXPECT_TRUE(soon([&] { return groups_of(search) == 0; })) << "its control group stays";
    }
    // The next search finds the journal free, and the trial marked as having been running.
    EXPECT_TRUE(soon([&] {
      try {
        const Journal journal(trial.folder.path());
        return journal.entries().size() == 1 &&
               journal.entries()[0].outcome->verdict == Verdict::kInterrupted;
      } catch (const std::exception&) {
        return false;
      }
    }));
  }
}

// The process of `parent` that bears this name, or 0.
pid_t child_named(const std::string& name, pid_t parent) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string status = read_kernel_file(entry.path() / "status").value_or("");
    if (kernel_line(status, "Name:") != name) continue;
    if (kernel_field(status, "PPid:") != static_cast<std::uint64_t>(parent)) continue;
    return std::stoi(entry.path().filename().string());
  }
  return 0;
}

TEST(ParentDeath, WhatASearchAndItsGuardLeftIsEndedByTheNextSearch) {
  const CapKind cap = caps().back();
  if (cap == CapKind::kRlimit) GTEST_SKIP() << "only a control group holds it";
  FaultRun trial(cap, {"linger", "escape"});
  const pid_t search = ::fork();
  if (search == 0) {
    trial.run();
    ::_exit(0);
  }
  std::optional<Family> family;
  ASSERT_TRUE(soon([&] { return (family = family_of(trial)).has_value(); }));
  const pid_t guard = child_named("loadline-guard", search);
  ASSERT_GT(guard, 1);
  ::kill(guard, SIGKILL);
  ::kill(search, SIGKILL);
  ::waitpid(search, nullptr, 0);
  EXPECT_TRUE(soon([&] { return is_gone(family->worker); }));
  EXPECT_FALSE(is_gone(family->child)) << "so nothing was left for the next";
  const auto next = make_cap(cap, 50_MiB, "next");
  EXPECT_TRUE(soon([&] { return is_gone(family->child); }));
  EXPECT_TRUE(soon([&] { return groups_of(search) == 0; }));
}

TEST(ParentDeath, AChildThatLeftTheProcessGroupEndsWithTheControlGroup) {
  const CapKind cap = caps().back();
  if (cap == CapKind::kRlimit) GTEST_SKIP() << "only a control group holds it";
  FaultRun trial(cap, {"linger", "escape"});
  std::optional<Family> family;
  trial.stop = [&] { return (family = family_of(trial)).has_value(); };
  expect_verdict(trial.run(), Verdict::kInterrupted, "interrupted");
  ASSERT_TRUE(family.has_value());
  EXPECT_TRUE(soon([&] { return is_gone(family->child); }));
}

TEST(ParentDeath, KillingTheWorkerLeavesNoChildOfIt) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"linger", "ignore"});
    std::optional<Family> family;
    trial.stop = [&] {
      if (!family && (family = family_of(trial))) ::kill(family->worker, SIGKILL);
      return false;
    };
    expect_verdict(trial.run(), Verdict::kKilled, "cause unknown");
    ASSERT_TRUE(family.has_value());
    EXPECT_TRUE(soon([&] { return is_gone(family->child); }));
  }
}

}  // namespace
}  // namespace loadline
