// The N-th allocation fails, for N = 1, 2, 3 ... through load and step of the real worker.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdlib>
#include <iostream>
#include <map>
#include <new>

#include "base/json.h"
#include "commands/command.h"
#include "engine_fault.h"
#include "trial/event_reader.h"
#include "trial/observation.h"

namespace {

// Which allocation fails: the n-th from now on, or all from there. Off: -1.
std::atomic<long> left{-1};
std::atomic<bool> and_all_after{false};
std::atomic<bool> armed{false};
std::atomic<long> counted{0};
std::atomic<bool> no_anonymous_maps{false};

bool is_refused() {
  if (!armed) return false;
  ++counted;
  const long now = left.fetch_sub(1);
  return now == 1 || (now < 1 && and_all_after);
}

void* allocate(std::size_t size) { return is_refused() ? nullptr : std::malloc(size | 1); }

void* allocate_or_throw(std::size_t size) {
  if (void* memory = allocate(size)) return memory;
  if (const std::new_handler handler = std::get_new_handler()) handler();
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return allocate(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*size*/) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t /*size*/) noexcept { std::free(memory); }

// The linker sends our own calls of mmap here (-Wl,--wrap=mmap): the arena's, and those of files.
extern "C" {
void* __real_mmap(void*, std::size_t, int, int, int, off_t);                      // NOLINT
void* __wrap_mmap(void* at, std::size_t size, int protection, int flags, int fd,  // NOLINT
                  off_t offset) {
  if (no_anonymous_maps && (flags & MAP_ANONYMOUS) != 0) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return __real_mmap(at, size, protection, flags, fd, offset);
}
}

namespace loadline {
namespace {

using testing::HasSubstr;

class FailingAllocations : public EngineFaults {
 protected:
  void SetUp() override {
    TrainingSettings s = small();
    spec_.id = 1;
    spec_.steps = s.max_steps;
    spec_.budget = spec_.cap = 64_GiB;
    spec_.worker = to_json(s);
    spec_file_ = folder_.path() / "spec.json";
    replace_file(spec_file_, to_json(spec_).dump());
    shared_ = static_cast<long*>(
        ::mmap(nullptr, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  }
  void TearDown() override { ::munmap(shared_, sizeof(long)); }

  // The worker in a fork, as the trial would see it; `prepare` arms the faults.
  TrialOutcome run_worker(const std::function<void()>& prepare) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const pid_t pid = ::fork();
    if (pid == 0) become_worker(ends[1], prepare);
    ::close(ends[1]);
    TrialObservation seen;
    EventReader reader(spec_.steps, [](const WorkerEvent&, std::string_view) {});
    while (!reader.at_end()) reader.read(ends[0]);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    seen.exit = {.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                 .signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    seen.report = reader.report();
    return judge(spec_, seen);
  }
  // How many allocations the last worker made.
  [[nodiscard]] long allocations() const { return *shared_; }

 private:
  [[noreturn]] void become_worker(int protocol, const std::function<void()>& prepare) {
    ::dup2(protocol, kProtocolDescriptor);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, 2);
    CLI::App app;
    const CommandFunction work = add_worker(Flags(app));
    app.parse("--spec " + spec_file_.string());
    prepare();
    armed = true;
    int code = 99;
    try {
      code = work();
    } catch (...) {
    }
    armed = false;
    *shared_ = counted;
    ::_exit(code);
  }

  TrialSpec spec_;
  std::filesystem::path spec_file_;
  long* shared_ = nullptr;
};

// Every one of the first, then fewer and fewer.
long next_after(long n) { return n < 40 ? n + 1 : n + n / 6; }

TEST_F(FailingAllocations, EachEndsAsOutOfMemoryOrIsSurvived) {
  EXPECT_EQ(name_of(run_worker([] {}).verdict), "fits");
  const long all = allocations();
  ASSERT_GT(all, 100);
  std::cout << "allocations of a worker with one step: " << all << '\n';
  for (const bool all_after : {false, true}) {
    std::map<std::string, int> seen;
    for (long n = 1; n <= all; n = next_after(n)) {
      const TrialOutcome outcome = run_worker([&] {
        left = n;
        and_all_after = all_after;
      });
      ++seen[std::string(name_of(outcome.verdict))];
      const bool survived = !all_after && outcome.verdict == Verdict::kFits;
      EXPECT_TRUE(survived || outcome.verdict == Verdict::kOutOfMemory)
          << "allocation " << n << " of " << all << (all_after ? " and all after it" : "") << ": "
          << outcome.cause;
    }
    for (const auto& [verdict, count] : seen) {
      std::cout << (all_after ? "from the n-th on: " : "the n-th alone: ") << verdict << ' '
                << count << '\n';
    }
  }
}

TEST_F(FailingAllocations, AnArenaThatTheSystemRefusesIsNamedWithItsSize) {
  const TrialOutcome outcome = run_worker([] { no_anonymous_maps = true; });
  EXPECT_EQ(outcome.verdict, Verdict::kOutOfMemory) << outcome.cause;
  EXPECT_THAT(outcome.cause, HasSubstr("the system refused"));
  EXPECT_THAT(outcome.cause, HasSubstr("for the step's buffers"));
}

}  // namespace
}  // namespace loadline
