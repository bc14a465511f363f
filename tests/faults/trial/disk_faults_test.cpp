// The disk is full at each write of a trial in turn, or may not be written at all.
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "fault.h"
#include "faults/small_disk.h"
#include "trial/journal.h"

namespace loadline {
namespace {

using testing::HasSubstr;

class DiskFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (!SmallDisk::why_not().empty()) GTEST_SKIP() << SmallDisk::why_not();
  }
};

// A search of one trial, as far as the disk lets it come.
struct OneTrial {
  std::string refused;  // by the journal: no trial was begun
  std::optional<TrialOutcome> outcome;

  explicit OneTrial(const SmallDisk& disk) {
    FaultRun trial(CapKind::kRlimit, {"healthy", "2"});
    trial.options.run_folder = disk.path() / "run";
    try {
      Journal journal(trial.options.run_folder);
      const int id = static_cast<int>(journal.entries().size()) + 1;
      trial.spec.id = id;
      journal.started(trial.spec);
      outcome = trial.run();
      // Never refused: its room was kept since the trial began.
      EXPECT_NO_THROW(journal.finished(trial.spec, *outcome));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      refused = error.what();
    }
  }
};

TEST_F(DiskFaults, AFullDiskAtEachWriteLosesNoAnswerAndLeavesTheJournalWhole) {
  std::set<std::string> seen;
  for (std::size_t pages = 0; pages <= 30; ++pages) {
    SCOPED_TRACE(pages);
    const SmallDisk disk(1_MiB);
    disk.leave(pages);
    const OneTrial tried(disk);
    if (tried.outcome && tried.outcome->verdict == Verdict::kRefused) {
      EXPECT_THAT(tried.outcome->cause, HasSubstr("No space left on device"));
      seen.insert("trial refused");
    } else if (tried.outcome) {
      EXPECT_EQ(tried.outcome->verdict, Verdict::kFits) << tried.outcome->cause;
      const bool whole = !tried.outcome->evidence.contains("not_written");
      seen.insert(whole ? "whole" : "record missing");
    } else {
      EXPECT_THAT(tried.refused, HasSubstr("No space left on device"));
      EXPECT_THAT(tried.refused, HasSubstr("journal.jsonl"));
      seen.insert("journal refused");
    }
    disk.give_back();
    {
      const Journal journal(disk.path() / "run");
      ASSERT_EQ(journal.entries().size(), tried.outcome ? 1U : 0U);
      if (tried.outcome) {
        EXPECT_EQ(journal.entries()[0].outcome->verdict, tried.outcome->verdict);
      }
    }
    const OneTrial again(disk);
    ASSERT_TRUE(again.outcome.has_value()) << again.refused;
    EXPECT_EQ(again.outcome->verdict, Verdict::kFits) << again.outcome->cause;
  }
  EXPECT_EQ(seen,
            (std::set<std::string>{"journal refused", "trial refused", "record missing", "whole"}));
}

TEST_F(DiskFaults, AReadOnlyRunFolderIsRefusedBeforeATrial) {
  const SmallDisk disk(1_MiB);
  make_folder(disk.path() / "run");
  disk.make_read_only();
  const OneTrial tried(disk);
  EXPECT_FALSE(tried.outcome.has_value());
  EXPECT_THAT(tried.refused, HasSubstr("Read-only file system"));
}

TEST_F(DiskFaults, AReadOnlyTrialFolderIsNoVerdictOnTheTrial) {
  const SmallDisk disk(1_MiB);
  disk.make_read_only();
  FaultRun trial(CapKind::kRlimit, {"healthy", "2"});
  trial.options.run_folder = disk.path();
  expect_verdict(trial.run(), Verdict::kRefused, "Read-only file system");
  EXPECT_FALSE(is_memory_failure(trial.outcome.verdict));
}

}  // namespace
}  // namespace loadline
