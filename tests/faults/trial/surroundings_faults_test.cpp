// Trials inside of limits that others have set: a control group around, a user's own ulimit.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/json.h"
#include "fault.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace {

using testing::HasSubstr;

// Runs `work` in a process of its own and returns what the outcome is there.
TrialOutcome outcome_elsewhere(FaultRun& trial, const std::function<void()>& prepare) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    prepare();
    trial.run();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  return trial_outcome_from_json(read_json(trial.file("outcome.json")), "outcome.json");
}

// A control group around the trial's own.
class GroupAround : public testing::Test {
 protected:
  void SetUp() override {
    kind_ = caps().back();
    if (kind_ != CapKind::kCgroupV1 && kind_ != CapKind::kCgroupV2) {
      GTEST_SKIP() << "needs a writable control group";
    }
    group_ = make_cap(kind_, 160_MiB, "around");
    inside_ = group_->folder();
    if (kind_ == CapKind::kCgroupV2) make_room_for_groups();
  }
  void TearDown() override {
    if (group_ && inside_ != group_->folder()) {
      EXPECT_TRUE(soon([&] { return !kernel_folders().remove(inside_); }));
    }
  }
  void enter() const { EXPECT_EQ(write_kernel_file(inside_ / "cgroup.procs", "0"), std::nullopt); }

  CapKind kind_ = CapKind::kRlimit;
  std::unique_ptr<Cap> group_;

 private:
  // v2: a group with groups that have limits has no processes of its own. And what is killed here
  // is one group below, not all of them.
  void make_room_for_groups() {
    ASSERT_EQ(write_kernel_file(inside_ / "memory.oom.group", "0"), std::nullopt);
    ASSERT_EQ(write_kernel_file(inside_ / "cgroup.subtree_control", "+memory"), std::nullopt);
    inside_ /= "search";
    ASSERT_EQ(kernel_folders().make(inside_), std::nullopt);
  }

  std::filesystem::path inside_;  // where the search is
};

TEST_F(GroupAround, NeighboursWhoTakeItsMemoryAreNotAVerdictOnTheTrial) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t neighbour = ::fork();
  if (neighbour == 0) {
    enter();
    constexpr std::size_t kHeld = (100_MiB).count;
    void* held = ::mmap(nullptr, kHeld, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memset(held, 1, kHeld);
    (void)!::write(ready[1], "x", 1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  FaultRun trial(kind_, {"leak"});
  trial.spec.cap = 150_MiB;
  const TrialOutcome outcome = outcome_elsewhere(trial, [&] { enter(); });
  ::kill(neighbour, SIGKILL);
  ::waitpid(neighbour, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  expect_verdict(outcome, Verdict::kRefused, "its ceiling of 150.0 MiB was not met");
  // v2 ends all of a group, and counts each.
  if (kind_ == CapKind::kCgroupV2) {
    EXPECT_GE(outcome.evidence.at("oom_kills"), 1);
  } else {
    EXPECT_EQ(outcome.evidence.at("oom_kills"), 1);
  }
  EXPECT_EQ(outcome.evidence.at("cap_was_full"), false);
  EXPECT_FALSE(is_memory_failure(outcome.verdict));
}

// Such a group hands down that nothing is killed at a ceiling: what meets it would sleep for ever.
TEST_F(GroupAround, ACeilingKillsAlsoWhereTheGroupAroundItDoesNot) {
  if (kind_ != CapKind::kCgroupV1) GTEST_SKIP() << "only v1 can forbid the killing";
  ASSERT_EQ(write_kernel_file(group_->folder() / "memory.oom_control", "1"), std::nullopt);
  FaultRun trial(CapKind::kCgroupV1, {"leak"});
  const TrialOutcome outcome = outcome_elsewhere(trial, [&] { enter(); });
  expect_verdict(outcome, Verdict::kOutOfMemory, "at the ceiling of 96.0 MiB");
}

#ifndef __SANITIZE_ADDRESS__  // which maps far more than such a limit allows
// "ulimit -d": nobody but root may raise it again, and it holds as well as ours.
TEST(UsersLimits, ATighterDataLimitStaysAndDoesNotStopATrial) {
  for (const bool fits : {true, false}) {
    FaultRun trial(CapKind::kRlimit, {"healthy", fits ? "20" : "120"});
    trial.spec.cap = 150_MiB;
    std::filesystem::permissions(trial.folder.path(), std::filesystem::perms::all);
    const TrialOutcome outcome = outcome_elsewhere(trial, [] {
      const rlimit tighter{(100_MiB).count, (100_MiB).count};
      EXPECT_EQ(::setrlimit(RLIMIT_DATA, &tighter), 0);
      if (::geteuid() == 0) {
        EXPECT_EQ(::setuid(65534), 0);
      }
    });
    expect_verdict(outcome, fits ? Verdict::kFits : Verdict::kOutOfMemory,
                   fits ? "fits" : "were refused");
  }
}
#endif

}  // namespace
}  // namespace loadline
