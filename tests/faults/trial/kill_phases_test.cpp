// SIGKILL to the search, to the trial and to both, at each point of a trial's life.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "fault.h"
#include "machine/kernel_file.h"
#include "trial/journal.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

constexpr int kEvents = 19;  // of the healthy worker
constexpr int kPhases =
    1 + kEvents + 2;  // after `started`, each event, before and after `finished`

// Whether any process has this folder in its command line.
bool anyone_works_in(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto command = read_kernel_file(entry.path() / "cmdline");
    if (command && command->find(folder.string() + "/trials") != std::string::npos) return true;
  }
  return false;
}

bool is_left_alone_soon(const fs::path& folder) {
  for (int i = 0; i < 500; ++i) {
    if (!anyone_works_in(folder)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

// Asks for the trials that the journal does not answer, and dies in the given phase of the first.
void search(FaultRun& trial, int die_in) {
  int phase = 0;
  const auto pass = [&] {
    if (phase++ == die_in) ::raise(SIGKILL);
  };
  Journal journal(trial.folder.path());
  for (const JournalEntry& entry : journal.entries()) {
    if (entry.outcome->fits()) return;
  }
  trial.spec.id = static_cast<int>(journal.entries().size()) + 1;
  journal.started(trial.spec);
  pass();
  const TrialOutcome outcome = run_trial(
      trial.spec, trial.options, SteadyClock(), [] { return false; },
      [&](const TrialSpec&, const WorkerEvent&) { pass(); });
  pass();
  journal.finished(trial.spec, outcome);
  pass();
}

int killed_search(FaultRun& trial, int die_in) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    search(trial, die_in);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// What the next search finds, and that it comes to the answer.
void expect_only_that_trial_lost(FaultRun& trial, Verdict left) {
  EXPECT_TRUE(is_left_alone_soon(trial.folder.path()));
  {
    const Journal journal(trial.folder.path());
    ASSERT_EQ(journal.entries().size(), 1U);
    EXPECT_EQ(name_of(journal.entries()[0].outcome->verdict), name_of(left));
  }
  trial.options.command = {LOADLINE_FAULT_WORKER, "healthy", "1"};
  search(trial, -1);
  const Journal journal(trial.folder.path());
  EXPECT_TRUE(journal.entries().back().outcome->fits());
}

TEST(KillPhases, KillingTheSearchAnywhereLosesAtMostTheRunningTrial) {
  const CapKind cap = caps().back();
  for (int phase = 0; phase < kPhases; ++phase) {
    SCOPED_TRACE(phase);
    FaultRun trial(cap, {"healthy", "1"});
    ASSERT_EQ(killed_search(trial, phase), SIGKILL);
    const bool written = phase == kPhases - 1;
    expect_only_that_trial_lost(trial, written ? Verdict::kFits : Verdict::kInterrupted);
  }
}

TEST(KillPhases, KillingTheTrialAnywhereIsSeenAsThat) {
  for (int event = 0; event <= kEvents; ++event) {
    SCOPED_TRACE(event);
    FaultRun trial(caps().back(), {"die", std::to_string(event)});
    expect_verdict(trial.run(), Verdict::kKilled, "cause unknown");
    EXPECT_EQ(trial.events.size(), static_cast<std::size_t>(event));
  }
}

TEST(KillPhases, KillingBothAtOnceLosesAtMostTheRunningTrial) {
  for (const int event : {1, 2, 9, kEvents}) {
    SCOPED_TRACE(event);
    FaultRun trial(caps().back(), {"die", std::to_string(event)});
    ASSERT_EQ(killed_search(trial, event), SIGKILL);  // phase 0 is before the first event
    expect_only_that_trial_lost(trial, Verdict::kInterrupted);
  }
}

}  // namespace
}  // namespace loadline
