// Runs one trial of the faulty worker under each kind of cap that this machine has.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "machine/cap.h"
#include "trial/runner.h"

namespace loadline {

// RLIMIT_DATA always; a control group where one can be made (said, where not).
inline std::vector<CapKind> caps() {
  static const CapChoice choice = choose_cap();
  if (choice.best.kind != CapKind::kRlimit) return {CapKind::kRlimit, choice.best.kind};
  std::cout << "[ NO CGROUP] only RLIMIT_DATA is tested here:\n";
  for (const std::string& note : choice.notes) std::cout << "             " << note << '\n';
  return {CapKind::kRlimit};
}

// How many control groups of ours there are for this process, wherever they are.
inline std::size_t groups_of(pid_t pid) {
  namespace fs = std::filesystem;
  const std::string mark = fmt::format("-{}-", pid);
  std::size_t count = 0;
  std::error_code error;  // groups come and go meanwhile
  fs::recursive_directory_iterator it("/sys/fs/cgroup",
                                      fs::directory_options::skip_permission_denied, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("loadline-") && name.find(mark) != std::string::npos) ++count;
  }
  return count;
}

// Waits up to 20 s, as a busy machine may take that long.
template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

struct FaultRun {
  TrialSpec spec;
  RunnerOptions options;
  TemporaryFolder folder;
  std::function<bool()> stop = [] { return false; };
  std::vector<WorkerEvent> events;
  TrialOutcome outcome;
  double seconds = 0;

  FaultRun(CapKind cap, std::vector<std::string> arguments) {
    spec.id = 7;
    spec.budget = 400_MiB;
    spec.cap = 96_MiB;
    spec.planned = {20_MiB};
    spec.worker = {{"anything", "the worker's own"}};
    options.command = {LOADLINE_FAULT_WORKER};
    options.command.insert(options.command.end(), arguments.begin(), arguments.end());
    options.run_folder = folder.path();
    options.cap = cap;
    options.stall_floor = std::chrono::milliseconds(1500);
    options.stop_grace = std::chrono::milliseconds(300);
    options.refusal_patience = std::chrono::milliseconds(200);
  }

  const TrialOutcome& run() {
    const auto start = std::chrono::steady_clock::now();
    outcome =
        run_trial(spec, options, SteadyClock(), stop,
                  [&](const TrialSpec&, const WorkerEvent& event) { events.push_back(event); });
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return outcome;
  }
  [[nodiscard]] std::filesystem::path file(const std::string& name) const {
    return folder.path() / "trials/007" / name;
  }
  [[nodiscard]] std::string output() const { return read_file(file("stderr.txt"), 100_MiB); }
};

// The verdict, with a cause that is one line and says what the test expects of it.
inline void expect_verdict(const TrialOutcome& outcome, Verdict verdict, const std::string& part) {
  EXPECT_EQ(name_of(outcome.verdict), name_of(verdict)) << outcome.cause;
  EXPECT_THAT(outcome.cause, testing::HasSubstr(part));
  EXPECT_EQ(outcome.cause.find('\n'), std::string::npos) << outcome.cause;
}

}  // namespace loadline
