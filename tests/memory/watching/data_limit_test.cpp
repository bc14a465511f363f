// The real worker where no control group can be made: under RLIMIT_DATA.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/harness/program.h"
#include "machine/cap.h"
#include "machine/cpu.h"
#include "trial/runner.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Takes the control groups out of this process's sight, and that of all that it starts from now on.
// Returns why that cannot be done; empty where it was, or where there are none.
std::string hide_control_groups() {
  if (choose_cap().best.kind == CapKind::kRlimit) return "";
  if (::geteuid() != 0) return "hiding the control groups needs root";
  if (::unshare(CLONE_NEWNS) != 0) return std::string("unshare: ") + std::strerror(errno);
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return std::string("mount --make-rprivate /: ") + std::strerror(errno);
  }
  if (::umount2("/sys/fs/cgroup", MNT_DETACH) != 0) {
    return std::string("umount /sys/fs/cgroup: ") + std::strerror(errno);
  }
  return choose_cap().best.kind == CapKind::kRlimit ? "" : "a control group is still there";
}

std::vector<std::string> small_find(const fs::path& run_folder) {
  return on_demo(
      "find --ranks 8 --layers-grid 2 --max-batch 2 --memory-limit 200MiB --max-seq-length 128 "
      "--steps 3 --yes --json",
      {"--run-dir", run_folder.string()});
}

TEST(DataLimit, AWholeSearchRunsWithoutAControlGroup) {
  if (const std::string why = hide_control_groups(); !why.empty()) GTEST_SKIP() << why;
  const Program program;
  const Ended ended = program.run(small_find(program.home() / "run"));
  ASSERT_EQ(ended.exit_code, 0) << ended.err;
  const Json result = parse_json(ended.out, "stdout");
  EXPECT_EQ(result["machine"]["cap"]["kind"], "rlimit");
  EXPECT_EQ(result["status"], "complete");
  EXPECT_EQ(result["optimal"]["batch_size"], 2);
  EXPECT_FALSE(result["confirmed_by_trial"].is_null());
}

class RealWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path run = program_.home() / "run";
    const Ended ended = program_.run(small_find(run));
    ASSERT_EQ(ended.exit_code, 0) << ended.err;
    spec_ = trial_spec_from_json(read_json(run / "trials/001/spec.json"), "spec.json");
  }
  TrialOutcome run_under(Bytes ceiling, Bytes untouched, int threads) {
    spec_.cap = ceiling;
    spec_.untouched = untouched;
    return run({std::string(LOADLINE_BINARY_DIR) + "/loadline", "worker"}, threads);
  }
  // The ceiling is the plan's, but the worker finds a tighter data limit.
  TrialOutcome run_with(Bytes data_limit, int threads) {
    return run(
        {"/bin/sh", "-c", "ulimit -d " + std::to_string(data_limit.count / 1024) + "; exec \"$@\"",
         "sh", std::string(LOADLINE_BINARY_DIR) + "/loadline", "worker"},
        threads);
  }
  TrialOutcome run(const std::vector<std::string>& command, int threads) {
    TrialSpec spec = spec_;
    spec.worker["threads"] = threads;
    const RunnerOptions options{.command = command,
                                .run_folder = program_.home() / "again",
                                .cap = CapKind::kRlimit,
                                .threads = threads};
    return run_trial(
        spec, options, SteadyClock(), [] { return false; },
        [](const TrialSpec&, const WorkerEvent&) {});
  }

  Program program_;
  TrialSpec spec_;
};

// The ceiling is the plan and what RLIMIT_DATA counts beside it, and not a byte of the margin.
TEST_F(RealWorker, FitsUnderADataLimitOfItsPlanAndTheRoomForWhatIsNotTouched) {
  for (const int threads : {1, spec_.worker["threads"].get<int>()}) {
    SCOPED_TRACE(threads);
    const TrialOutcome outcome = run_under(spec_.planned.bytes, spec_.untouched, threads);
    EXPECT_EQ(outcome.verdict, Verdict::kFits) << outcome.cause << outcome.stderr_tail;
    if (outcome.peak) {
      std::cout << threads << " threads: peak " << to_string(outcome.peak->bytes) << ", planned "
                << to_string(spec_.planned.bytes) << '\n';
    }
  }
}

TEST_F(RealWorker, IsStoppedAtADataLimitBelowItsPlanAndSaysSo) {
  spec_.worker["batch_size"] = 128;
  spec_.worker["max_seq_length"] = 512;
  const TrialOutcome outcome = run_under(16_MiB, spec_.untouched, 1);
  EXPECT_EQ(outcome.verdict, Verdict::kOutOfMemory) << outcome.cause << outcome.stderr_tail;
  EXPECT_THAT(outcome.cause, HasSubstr("refused"));
}

// oneDNN writes through a null pointer where a mapping of its own is refused, and libgomp ends the
// process: neither may be reached. A crash would be read as "says nothing about memory".
TEST_F(RealWorker, EndsAsOutOfMemoryWhereverADataLimitMeetsIt) {
  for (const int threads : {1, 2}) {
    int refused = 0;
    for (Bytes limit = 6_MiB;; limit += 1_MiB) {
      SCOPED_TRACE(std::to_string(threads) + " threads with a limit of " + to_string(limit));
      ASSERT_LT(limit, spec_.planned.bytes + spec_.untouched);
      const TrialOutcome outcome = run_with(limit, threads);
      if (outcome.fits()) {
        std::cout << threads << " threads: refused " << refused << " times, fits with a limit of "
                  << to_string(limit) << '\n';
        break;
      }
      ++refused;
      EXPECT_EQ(outcome.verdict, Verdict::kOutOfMemory) << outcome.cause << outcome.stderr_tail;
      EXPECT_THAT(outcome.cause, HasSubstr("refused"));
    }
    EXPECT_GT(refused, 3);
  }
}

}  // namespace
}  // namespace loadline::testing
