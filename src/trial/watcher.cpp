#include "trial/watcher.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

#include "base/error.h"
#include "machine/cpu.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace {

constexpr auto kSampleEvery = std::chrono::milliseconds(100);
constexpr auto kTreeSampleEvery = std::chrono::milliseconds(500);
// A worker that has closed its descriptor without a last event may still be on its way out.
constexpr auto kCloseGrace = std::chrono::milliseconds(2000);
// The kernel counts processor time in hundredths of a second.
constexpr double kShortest = 0.3;
constexpr Bytes kMostOutput = 64_MiB;

void keep_largest(ProcessMemory& largest, const ProcessMemory& now) {
  largest.peak = std::max(largest.peak, now.peak);
  largest.resident = std::max(largest.resident, now.resident);
  largest.anonymous = std::max(largest.anonymous, now.anonymous);
  largest.file = std::max(largest.file, now.file);
  largest.swapped = std::max(largest.swapped, now.swapped);
}

}  // namespace

Watcher::Watcher(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock,
                 Child& child, Cap& cap, std::filesystem::path output,
                 EventReader::Listener listener)
    : spec_(spec),
      options_(options),
      clock_(clock),
      child_(child),
      cap_(cap),
      output_(std::move(output)),
      start_(clock.now()),
      reader_(
          spec.steps,
          [this, listener = std::move(listener)](const WorkerEvent& event, std::string_view line) {
            heard(event);
            listener(event, line);
          }),
      life_(spec, options.stall_floor, start_),
      next_sample_(start_),
      next_tree_sample_(start_) {
  seen_.cap = cap.kind();
  if (const auto use = read_processor_use(options.root)) busy_before_ = use->busy_seconds;
}

TrialObservation Watcher::watch(const std::function<bool()>& stop_requested) {
  while (true) {
    wait_for_news();
    if (!reader_.at_end() && !reader_.broken()) reader_.read(child_.protocol());
    if (const auto exit = child_.poll_exit()) {
      seen_.exit = *exit;
      break;
    }
    if (clock_.now() >= next_sample_) sample();
    look_for_trouble(stop_requested());
    escalate();
  }
  // What it wrote before it ended; a child that it left behind may still hold the other end.
  while (!reader_.at_end() && !reader_.broken() && reader_.read(child_.protocol()) > 0) {
  }
  check_output();
  child_.observe();
  seen_.was_capped = cap_.was_entered();
  seen_.evidence = cap_.evidence();
  seen_.report = reader_.report();
  seen_.seconds = std::chrono::duration<double>(clock_.now() - start_).count();
  return std::move(seen_);
}

// Sleeps until there is an event, but no longer than until the next sample.
void Watcher::wait_for_news() {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(next_sample_ - clock_.now());
  const bool listening = !reader_.at_end() && !reader_.broken();
  pollfd line{.fd = listening ? child_.protocol() : -1, .events = POLLIN, .revents = 0};
  const auto wait = std::clamp<std::int64_t>(left.count() + 1, 1, kSampleEvery.count());
  ::poll(&line, 1, static_cast<int>(wait));
}

void Watcher::sample() {
  next_sample_ = clock_.now() + kSampleEvery;
  child_.observe();
  if (const auto memory = read_process_memory(child_.pid())) sample_memory(*memory);
  if (clock_.now() >= next_tree_sample_) sample_tree();
  sample_activity();
  life_.sample(clock_.now(), seen_.activity.cpu_seconds, seen_.waited_seconds,
               std::max(seen_.memory.peak, seen_.tree_peak.value_or(Bytes{})), seen_.activity.read);
  sample_neighbours();
  check_output();
}

// RLIMIT_DATA is above the cap, as it counts what is untouched too; so here is what is touched.
void Watcher::sample_memory(const ProcessMemory& now) {
  keep_largest(seen_.memory, now);
  const Bytes held = now.resident + now.swapped;
  seen_.held = std::max(seen_.held, held);
  if (cap_.kind() != CapKind::kRlimit || held <= spec_.cap) return;
  end(Ending::kTree,
      fmt::format("the worker holds {}, above the ceiling of {}", to_string(held),
                  to_string(spec_.cap)),
      true);
}

// The worker may leave its work to others; what those did who have ended is in its own count.
void Watcher::sample_activity() {
  const auto own = read_activity(child_.pid());
  if (!own) return;
  ProcessActivity all = *own;
  for (const pid_t process : descendants_) {
    const ProcessActivity one = read_activity(process).value_or(ProcessActivity{});
    all.cpu_seconds += one.cpu_seconds;
    all.major_faults += one.major_faults;
    all.read += one.read;
  }
  seen_.activity.cpu_seconds = std::max(seen_.activity.cpu_seconds, all.cpu_seconds);
  seen_.activity.major_faults = std::max(seen_.activity.major_faults, all.major_faults);
  seen_.activity.read = std::max(seen_.activity.read, all.read);
}

// What its cores were busy with, less what the worker used: both as of this sample. Under a quota
// the work of others shows only in how long its threads were held up; of a quota below one core
// they always are.
void Watcher::sample_neighbours() {
  const double seconds = std::chrono::duration<double>(clock_.now() - start_).count();
  if (!busy_before_ || seconds < kShortest) return;
  const auto use = read_processor_use(options_.root);
  if (!use) return;
  double others = use->busy_seconds - *busy_before_ - seen_.activity.cpu_seconds;
  if (use->quota) {
    if (!(seen_.waited_seconds > 0)) return;  // the kernel does not count it
    const double own = std::max(use->cores - *use->quota, 0.0);
    others = use->cores * seen_.waited_seconds - own * seconds;
  }
  seen_.neighbour_cores = std::max(others / seconds, 0.0);
}

void Watcher::check_output() {
  std::error_code error;
  const auto written = std::filesystem::file_size(output_, error);
  if (error || written <= kMostOutput.count) return;
  reader_.add_violation(fmt::format("more than {} on stdout and stderr", to_string(kMostOutput)));
}

// What takes a look at each thread or child. A control group holds all of them together;
// RLIMIT_DATA holds each apart, so we add up.
void Watcher::sample_tree() {
  next_tree_sample_ = clock_.now() + kTreeSampleEvery;
  descendants_ = read_descendants(child_.pid());
  std::vector<pid_t> all = descendants_;
  all.push_back(child_.pid());
  for (const pid_t process : all) {
    seen_.waited_seconds = std::max(seen_.waited_seconds, read_waited_seconds(process));
  }
  if (descendants_.empty()) return;
  const Bytes tree = read_tree_memory(all);
  seen_.tree_peak = std::max(seen_.tree_peak.value_or(Bytes{}), tree);
  if (cap_.kind() != CapKind::kRlimit || tree <= spec_.cap) return;
  end(Ending::kTree,
      fmt::format("the worker and the processes that it started hold {}, above the ceiling of {}",
                  to_string(tree), to_string(spec_.cap)),
      true);
}

void Watcher::heard(const WorkerEvent& event) {
  life_.event(clock_.now());
  if (const auto* stepped = std::get_if<Stepped>(&event)) life_.step_took(stepped->step.seconds);
  const WorkerReport& report = reader_.report();
  const bool has_ended = report.finished || report.failed;
  life_.set_stepping(report.loaded && !has_ended && !spec_.ends_after(report.steps));
}

void Watcher::look_for_trouble(bool stop) {
  if (asked_to_end_) return;
  const Clock::Duration now = clock_.now();
  check_early_close();
  if (stop) return end(Ending::kInterrupted, "asked to stop", false);
  if (reader_.broken()) return end(Ending::kViolation, "", true);
  if (spec_.time_limit.count() > 0 && now - start_ > spec_.time_limit) {
    return end(Ending::kTimedOut, "time limit", false);
  }
  if (auto why = life_.stalled(now)) {
    const auto pressure = read_kernel_file(options_.root / "proc/pressure/memory");
    const auto some = pressure ? kernel_line(*pressure, "some") : std::nullopt;
    *why += fmt::format("; {} major faults, {} swapped", seen_.activity.major_faults,
                        to_string(seen_.memory.swapped));
    if (some) *why += "; memory pressure " + some->substr(0, some->find(' '));
    end(Ending::kStalled, *why, false);
  }
}

void Watcher::check_early_close() {
  const WorkerReport& report = reader_.report();
  if (!reader_.at_end() || report.finished || report.failed) return;
  if (!closed_at_) closed_at_ = clock_.now();
  if (clock_.now() - *closed_at_ > kCloseGrace) {
    reader_.add_violation("it closed descriptor 3 before it had finished, and runs on");
  }
}

void Watcher::end(Ending why, std::string detail, bool at_once) {
  if (asked_to_end_) return;
  seen_.ending = why;
  seen_.ending_detail = std::move(detail);
  asked_to_end_ = clock_.now();
  if (!at_once) {
    child_.signal_group(SIGTERM);
    return;
  }
  killed_ = true;
  child_.kill_all();
}

// SIGTERM was ignored, or takes too long.
void Watcher::escalate() {
  if (!asked_to_end_ || killed_ || clock_.now() - *asked_to_end_ < options_.stop_grace) return;
  killed_ = true;
  child_.kill_all();
}

}  // namespace loadline
