// Trials that hang, lie, babble or die.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "fault.h"
#include "machine/kernel_file.h"
#include "machine/process_memory.h"
#include "unit/machine/made_root.h"

namespace loadline {
namespace {

using testing::HasSubstr;

TEST(ConductFaults, AHangIsStalledWhereverItIs) {
  for (const char* where : {"load", "first", "step", "evaluation", "exit"}) {
    SCOPED_TRACE(where);
    FaultRun trial(CapKind::kRlimit, {"hang", where});
    expect_verdict(trial.run(), Verdict::kStalled, "stalled");
    EXPECT_LT(trial.seconds, 6);
  }
}

TEST(ConductFaults, AWorkerThatLeavesItsWorkToAChildIsNoHang) {
  FaultRun trial(CapKind::kRlimit, {"delegate", "4"});
  EXPECT_EQ(trial.run().verdict, Verdict::kFits);
  EXPECT_GT(trial.outcome.evidence["cpu_seconds"].get<double>(), 3.5);
}

// All of its memory is touched before the first byte comes, so nothing of it grows meanwhile.
TEST(ConductFaults, ALoadThatWaitsForASlowDiskIsNoHang) {
  FaultRun trial(CapKind::kRlimit, {"read", "4"});
  EXPECT_EQ(trial.run().verdict, Verdict::kFits) << trial.outcome.cause;
  EXPECT_LT(trial.outcome.evidence["cpu_seconds"].get<double>(), 0.2);
}

// This thread on its first core, as its children will be, and beside it one that only computes.
class BusyCore {
 public:
  BusyCore() {
    ::sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++core) {
      if (CPU_ISSET(core, &before_)) CPU_SET(core, &one);
    }
    ::sched_setaffinity(0, sizeof one, &one);
    neighbour_ = ::fork();
    volatile bool more = true;
    while (neighbour_ == 0 && more) {
    }
  }
  BusyCore(const BusyCore&) = delete;
  BusyCore& operator=(const BusyCore&) = delete;
  ~BusyCore() {
    ::kill(neighbour_, SIGKILL);
    ::waitpid(neighbour_, nullptr, 0);
    ::sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  cpu_set_t before_{};
  pid_t neighbour_ = 0;
};

// Which of the many cores are its own, nobody knows: what all of them do says nothing.
TEST(ConductFaults, UnderAQuotaNeighboursShowInHowLongItWaited) {
  if (!std::filesystem::exists("/proc/self/schedstat")) GTEST_SKIP() << "the kernel does not count";
  const MadeRoot root;
  root.mount_v2("/box");
  root.write("sys/fs/cgroup/box/cpu.max", "100000 100000\n");
  root.write("proc/stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0\ncpu1 0 0 0 0 0 0 0 0\n");
  const BusyCore shared;
  FaultRun trial(CapKind::kRlimit, {"delegate", "1.5"});
  trial.options.root = root.path();
  EXPECT_EQ(trial.run().verdict, Verdict::kFits) << trial.outcome.cause;
  EXPECT_EQ(trial.outcome.noise.cores, 1);
  EXPECT_GT(trial.outcome.noise.neighbour_cores.value_or(0), 0.3);
  EXPECT_TRUE(trial.outcome.noise.slows());
}

TEST(ConductFaults, ATimeLimitIsNeverSuccess) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"hang", "exit"});  // all its events have come, the last one too
    trial.spec.time_limit = std::chrono::milliseconds(500);
    expect_verdict(trial.run(), Verdict::kTimedOut, "time limit of 0.5 s");
    EXPECT_EQ(trial.outcome.steps.size(), 15U);
  }
}

TEST(ConductFaults, StoppingEndsAWorkerThatIgnoresSigterm) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"linger", "ignore"});
    trial.stop = [&] { return !trial.events.empty(); };
    expect_verdict(trial.run(), Verdict::kInterrupted, "interrupted");
    EXPECT_EQ(trial.outcome.signal, SIGKILL);
    EXPECT_LT(trial.seconds, 3);
  }
}

TEST(ConductFaults, StoppingASoundWorkerNeedsNoSigkill) {
  FaultRun trial(CapKind::kRlimit, {"hang", "first"});
  trial.stop = [&] { return !trial.events.empty(); };
  expect_verdict(trial.run(), Verdict::kInterrupted, "interrupted before its first step");
  EXPECT_EQ(trial.outcome.signal, SIGTERM);
}

TEST(ConductFaults, RubbishIsABrokenProtocol) {
  for (const char* what :
       {"bytes", "nan", "verdict", "backwards", "skipping", "negative", "after"}) {
    SCOPED_TRACE(what);
    FaultRun trial(CapKind::kRlimit, {"odd", what});
    expect_verdict(trial.run(), Verdict::kCrashed, "broke the worker protocol");
    EXPECT_TRUE(trial.outcome.evidence.contains("protocol_violation"));
    EXPECT_LT(trial.seconds, 2);
  }
}

TEST(ConductFaults, AFloodDoesNotFillTheParent) {
  for (const char* what : {"line", "lines", "events", "stderr"}) {
    SCOPED_TRACE(what);
    const Bytes before = read_own_memory().resident;
    FaultRun trial(CapKind::kRlimit, {"flood", what, "100"});
    expect_verdict(trial.run(), Verdict::kCrashed, "broke the worker protocol");
    EXPECT_LT(read_own_memory().resident - before, 16_MiB);
    EXPECT_LT(std::filesystem::file_size(trial.file("events.jsonl")), 1U << 20);
    EXPECT_LE(trial.outcome.stderr_tail.size(), 4096U);
    EXPECT_LT(trial.seconds, 5);
  }
}

TEST(ConductFaults, ClosingTheProtocolEarlyIsSeen) {
  FaultRun trial(CapKind::kRlimit, {"ending", "close"});
  trial.options.stall_floor = std::chrono::seconds(30);
  expect_verdict(trial.run(), Verdict::kCrashed, "closed descriptor 3");
  EXPECT_LT(trial.seconds, 5);
}

TEST(ConductFaults, ExitZeroWithoutAResultIsACrash) {
  FaultRun trial(CapKind::kRlimit, {"ending", "silent"});
  expect_verdict(trial.run(), Verdict::kCrashed, "without a result");
  EXPECT_THAT(trial.outcome.cause, HasSubstr("something went wrong in layer 3"));
}

TEST(ConductFaults, FinishingWithTooFewStepsIsACrash) {
  FaultRun trial(CapKind::kRlimit, {"ending", "few_steps"});
  expect_verdict(trial.run(), Verdict::kCrashed, "after 3 of 15 steps");
}

TEST(ConductFaults, AnExitCodeIsACrashWithTheLastWords) {
  FaultRun trial(CapKind::kRlimit, {"ending", "code"});
  expect_verdict(trial.run(), Verdict::kCrashed, "exit code 7");
  EXPECT_THAT(trial.outcome.stderr_tail, HasSubstr("something went wrong in layer 3"));
  EXPECT_EQ(trial.outcome.exit_code, 7);
}

TEST(ConductFaults, ALossThatIsNotFiniteIsDiverged) {
  FaultRun silent(CapKind::kRlimit, {"ending", "null_loss"});
  expect_verdict(silent.run(), Verdict::kDiverged, "not finite");
  FaultRun honest(CapKind::kRlimit, {"failing", "diverged"});
  expect_verdict(honest.run(), Verdict::kDiverged, "as the test asked");
}

TEST(ConductFaults, TheWorkersOwnWordIsTaken) {
  const std::vector<std::pair<const char*, Verdict>> words{{"out_of_memory", Verdict::kOutOfMemory},
                                                           {"bad_input", Verdict::kBadInput},
                                                           {"interrupted", Verdict::kInterrupted},
                                                           {"refused", Verdict::kRefused},
                                                           {"crashed", Verdict::kCrashed}};
  for (const auto& [word, verdict] : words) {
    SCOPED_TRACE(word);
    FaultRun trial(CapKind::kRlimit, {"failing", word});
    expect_verdict(trial.run(), verdict, "as the test asked");
  }
}

TEST(ConductFaults, ASignalIsNamed) {
  const std::vector<std::pair<int, const char*>> signals{
      {SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"},
      {SIGILL, "SIGILL"},   {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}, {SIGPIPE, "SIGPIPE"}};
  for (const auto& [number, name] : signals) {
    SCOPED_TRACE(name);
    FaultRun trial(CapKind::kRlimit, {"ending", std::to_string(number)});
    expect_verdict(trial.run(), Verdict::kCrashed, name);
    EXPECT_EQ(trial.outcome.signal, number);
  }
}

TEST(ConductFaults, KilledWithoutEvidenceIsNotCalledOutOfMemory) {
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"ending", "9"});
    expect_verdict(trial.run(), Verdict::kKilled, "cause unknown");
    EXPECT_FALSE(is_memory_failure(trial.outcome.verdict));
    EXPECT_EQ(trial.outcome.steps.size(), 3U);
  }
}

TEST(ConductFaults, ALineTornByDeathIsNoViolation) {
  FaultRun trial(CapKind::kRlimit, {"ending", "torn"});
  expect_verdict(trial.run(), Verdict::kKilled, "after step 3 of 15");
}

TEST(ConductFaults, AWorkerThatCannotStartIsNoVerdictOnTheTrial) {
  FaultRun trial(CapKind::kRlimit, {});
  trial.options.command = {"/nonexistent/worker"};
  expect_verdict(trial.run(), Verdict::kRefused, "/nonexistent/worker");
}

TEST(ConductFaults, ARunFolderThatCannotBeWrittenIsTheEnvironmentsFault) {
  FaultRun trial(CapKind::kRlimit, {"healthy", "1"});
  replace_file(trial.folder.path() / "file", "");
  trial.options.run_folder = trial.folder.path() / "file";
  expect_verdict(trial.run(), Verdict::kRefused, "says nothing about whether it fits");
  EXPECT_THAT(trial.outcome.cause, HasSubstr("file/trials/007"));
}

TEST(ConductFaults, FinishingWithoutAnEvaluationOrASaveIsNoSuccess) {
  for (const auto& [left_out, missing] :
       {std::pair{"evaluation", "without an evaluation"}, std::pair{"save", "without a save"}}) {
    FaultRun trial(CapKind::kRlimit, {"lacking", left_out});
    expect_verdict(trial.run(), Verdict::kCrashed, missing);
  }
}

TEST(ConductFaults, ASlowWorkerIsNotStalled) {
  FaultRun trial(CapKind::kRlimit, {"healthy", "10"});
  trial.spec.predicted_step = std::chrono::seconds(1);
  trial.options.stall_floor = std::chrono::milliseconds(1);
  expect_verdict(trial.run(), Verdict::kFits, "fits");
}

TEST(ConductFaults, TheWorkerStartsInCleanSurroundings) {
  ::setenv("LOADLINE_TEST_SECRET", "visible", 1);
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}) ::unsetenv(name);
  // Descriptors that some library left open to every program that is started.
  const FileDescriptor low(::open("/dev/null", O_RDONLY));
  const FileDescriptor high(::fcntl(low.get(), F_DUPFD, 700));
  const auto own_score = read_kernel_number("/proc/self/oom_score_adj");
  for (const CapKind cap : caps()) {
    SCOPED_TRACE(name_of(cap));
    FaultRun trial(cap, {"surroundings"});
    trial.options.threads = 3;
    expect_verdict(trial.run(), Verdict::kFits, "fits");
    EXPECT_EQ(trial.output(),
              "stdin /dev/null\ngroup leader 1\noom 1000\nsecret absent\nthreads 3\nspins "
              "3000\npath present\n");
  }
  EXPECT_EQ(read_kernel_number("/proc/self/oom_score_adj"), own_score) << "only the trial's";
  ::unsetenv("LOADLINE_TEST_SECRET");
}

}  // namespace
}  // namespace loadline
