// Trials that want more memory than they may have.
#include "base/json.h"
#include "fault.h"

namespace loadline {
namespace {

TEST(MemoryFaults, AHealthyTrialFits) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"healthy", "20"});
    expect_verdict(trial.run(), Verdict::kFits, "within the budget");
    EXPECT_EQ(trial.outcome.steps.size(), 15U);
    ASSERT_TRUE(trial.outcome.peak.has_value());
    EXPECT_GE(trial.outcome.peak->bytes, 20_MiB);
    EXPECT_LE(trial.outcome.peak->bytes, 28_MiB);
    EXPECT_EQ(trial.events.size(), 19U);
    EXPECT_DOUBLE_EQ(trial.outcome.tokens_per_second, 10000);
    EXPECT_FALSE(trial.outcome.growth->warns());
    EXPECT_EQ(trial.outcome.coverage, "covers 100 % of batches, longest row 50 tokens");
    EXPECT_GT(trial.outcome.noise.available_before.count, 0U);
    EXPECT_GT(trial.outcome.noise.cores, 0);
    if (cap != CapKind::kRlimit && trial.outcome.cgroup_peak) {  // Linux 5.19 for v2
      EXPECT_GE(*trial.outcome.cgroup_peak, 20_MiB);
      EXPECT_LE(*trial.outcome.cgroup_peak, 96_MiB);
    }
  }
}

TEST(MemoryFaults, TheTrialsFilesAreWhole) {
  FaultRun trial(CapKind::kRlimit, {"healthy", "5"});
  trial.run();
  const TrialSpec spec = trial_spec_from_json(read_json(trial.file("spec.json")), "spec.json");
  EXPECT_EQ(to_json(spec), to_json(trial.spec));
  const TrialOutcome outcome =
      trial_outcome_from_json(read_json(trial.file("outcome.json")), "outcome.json");
  EXPECT_EQ(to_json(outcome), to_json(trial.outcome));
  const std::string events = read_file(trial.file("events.jsonl"), 1_MiB);
  EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), 19);
}

TEST(MemoryFaults, APeakAboveTheBudgetDoesNotFitAlthoughItRan) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"healthy", "60"});
    trial.spec.budget = 64_MiB;  // 60 would do, 60 x 1.15 does not
    expect_verdict(trial.run(), Verdict::kExceedsBudget, "above the budget of 64.0 MiB");
  }
}

TEST(MemoryFaults, ALeakEndsAtTheCeilingWithEvidence) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"leak"});
    expect_verdict(trial.run(), Verdict::kOutOfMemory, "out of memory");
    EXPECT_GE(trial.outcome.steps.size(), 2U);
    // Pages of libc that another process had read first are not charged to this group.
    EXPECT_LE(trial.outcome.peak->bytes, 96_MiB + 4_MiB);
    EXPECT_LT(trial.seconds, 5);
    if (cap != CapKind::kRlimit) {
      EXPECT_GE(trial.outcome.evidence.at("oom_kills").get<int>(), 1);
      EXPECT_EQ(trial.outcome.signal, 9);
      EXPECT_EQ(trial.outcome.evidence.at("swapped_bytes"), 0) << "no way out of the ceiling";
    }
  }
}

TEST(MemoryFaults, TakingAllAtOnceEndsAtTheCeilingWithEvidence) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"healthy", "300"});
    expect_verdict(trial.run(), Verdict::kOutOfMemory, "out of memory");
    EXPECT_LT(trial.seconds, 5);
  }
}

TEST(MemoryFaults, ChildrenOfTheWorkerCountTogether) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"brood", "4", "40"});  // 40 each is allowed, 160 is not
    expect_verdict(trial.run(), Verdict::kOutOfMemory, "out of memory");
    EXPECT_LT(trial.seconds, 5);
  }
}

// The worker is small and reports a result; the kernel killed only its child.
TEST(MemoryFaults, AChildThatEatsTheMemoryIsTheTrialsOwnDoing) {
  const CapKind cap = caps().back();
  if (cap == CapKind::kRlimit) GTEST_SKIP() << "a data limit refuses it to the child";
  FaultRun trial(cap, {"bereaved", "300"});
  trial.options.stall_floor = std::chrono::seconds(30);  // the worker waits for its child
  expect_verdict(trial.run(), Verdict::kOutOfMemory, "at the ceiling of 96.0 MiB");
  EXPECT_GE(trial.outcome.evidence.at("oom_kills").get<int>(), 1);
}

TEST(MemoryFaults, NoGroupIsLeftBehind) {
  const CapKind cap = caps().back();
  if (cap == CapKind::kRlimit) GTEST_SKIP() << "no control group can be made here";
  {
    const auto held = make_cap(CapKind::kSystemdScope == cap ? CapKind::kRlimit : cap, 50_MiB, "x");
    EXPECT_EQ(groups_of(getpid()), held->folder().empty() ? 0U : 1U) << "they are looked for";
  }
  FaultRun trial(cap, {"leak"});
  std::size_t meanwhile = 0;
  trial.stop = [&] {
    meanwhile = std::max(meanwhile, groups_of(getpid()));
    return false;
  };
  trial.run();
  EXPECT_GE(meanwhile, 1U) << trial.outcome.cause;
  EXPECT_TRUE(soon([] { return groups_of(getpid()) == 0; }));
}

TEST(MemoryFaults, NeighboursThatLeaveTooLittleAreNotAVerdictOnTheTrial) {
  const TemporaryFolder root;
  make_folder(root.path() / "proc");
  replace_file(root.path() / "proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 204800 kB\n");
  FaultRun trial(CapKind::kRlimit, {"healthy", "20"});
  trial.options.root = root.path();
  trial.spec.planned = {300_MiB};
  expect_verdict(trial.run(), Verdict::kRefused, "needs 345.0 MiB");
  EXPECT_THAT(trial.outcome.cause, testing::HasSubstr("only 200.0 MiB"));
  EXPECT_FALSE(is_memory_failure(trial.outcome.verdict));
  EXPECT_FALSE(trial.outcome.peak.has_value());
}

}  // namespace
}  // namespace loadline
