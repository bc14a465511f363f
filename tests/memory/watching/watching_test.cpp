// Bytes: what a trial measures is the child's own, whatever its parent holds; and watching is
// cheap.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <vector>

#include "base/file.h"
#include "machine/cap.h"
#include "machine/process_memory.h"
#include "trial/runner.h"

namespace loadline {
namespace {

TrialOutcome run_worker(const std::vector<std::string>& arguments, CapKind cap,
                        std::chrono::milliseconds limit) {
  const TemporaryFolder folder;
  TrialSpec spec;
  spec.budget = spec.cap = 2_GiB;
  spec.time_limit = limit;
  RunnerOptions options;
  options.command = {LOADLINE_FAULT_WORKER};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  options.run_folder = folder.path();
  options.cap = cap;
  return run_trial(
      spec, options, SteadyClock(), [] { return false; },
      [](const TrialSpec&, const WorkerEvent&) {});
}

double own_cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// ru_maxrss of such a child would read 400 MiB and more: Linux seeds it with the parent's.
TEST(Watching, AChildsPeakIsItsOwnUnderAParentThatHolds400MiB) {
  std::vector<char> held((400_MiB).count);
  std::memset(held.data(), 1, held.size());
  const std::vector<CapKind> kinds{CapKind::kRlimit, choose_cap().best.kind};
  for (const CapKind cap : kinds) {
    SCOPED_TRACE(name_of(cap));
    const auto nothing = run_worker({"healthy", "0"}, cap, std::chrono::seconds(20));
    ASSERT_EQ(nothing.verdict, Verdict::kFits) << nothing.cause;
    for (const std::uint64_t mib : {16U, 100U, 300U}) {
      const auto outcome =
          run_worker({"healthy", std::to_string(mib)}, cap, std::chrono::seconds(20));
      ASSERT_EQ(outcome.verdict, Verdict::kFits) << outcome.cause;
      const double measured = outcome.peak->bytes.mib() - nothing.peak->bytes.mib();
      std::cout << name_of(cap) << ": touched " << mib << " MiB, measured " << measured
                << " MiB above an empty worker's " << nothing.peak->bytes.mib() << '\n';
      EXPECT_NEAR(measured, static_cast<double>(mib), 1.0);
    }
  }
  EXPECT_EQ(held[12345], 1);
}

TEST(Watching, TheWatcherUsesLessThanOnePercentOfACoreAnd20MiB) {
  const Bytes before = read_own_memory().resident;
  const double cpu = own_cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = run_worker({"hang", "first"}, CapKind::kRlimit, std::chrono::seconds(5));
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(outcome.verdict, Verdict::kTimedOut) << outcome.cause;
  const double share = (own_cpu_seconds() - cpu) / wall.count();
  const Bytes grown = read_own_memory().resident - before;
  std::cout << "watching used " << share * 100 << " % of a core and " << to_string(grown)
            << "; the whole process " << to_string(read_own_memory().resident) << '\n';
  EXPECT_LT(share, 0.01);
  EXPECT_LT(grown, 4_MiB);
  EXPECT_LT(read_own_memory().resident, 20_MiB);
}

}  // namespace
}  // namespace loadline
