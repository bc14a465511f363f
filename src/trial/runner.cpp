#include "trial/runner.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "machine/cap.h"
#include "machine/child.h"
#include "machine/cpu.h"
#include "machine/kernel_file.h"
#include "machine/thread_waits.h"
#include "trial/event_reader.h"
#include "trial/fields.h"
#include "trial/observation.h"
#include "trial/watcher.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kTail = 4096;

std::string pretty(const Json& document) {
  return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// The file's last 4 KiB, or nothing where they cannot be read: they cost no verdict.
std::string end_of(const fs::path& file) {
  std::error_code error;
  const auto size = fs::file_size(file, error);
  std::string end(error ? 0 : std::min<std::uintmax_t>(size, kTail), '\0');
  try {
    read_at(file, size - end.size(), std::as_writable_bytes(std::span(end)));
  } catch (const Error&) {
    return {};
  }
  return end;
}

// The output's end, printable; the start of a cut line is dropped.
std::string tail_of(const fs::path& output) {
  std::string tail = end_of(output);
  const bool cut = tail.size() == kTail;
  const std::size_t newline = cut ? tail.find('\n') : std::string::npos;
  if (newline != std::string::npos && newline + 1 < tail.size()) tail.erase(0, newline + 1);
  for (char& c : tail) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) c = '?';
  }
  return tail;
}

Bytes available_now(const fs::path& root) {
  const MemoryFacts memory = read_memory(root);
  return std::min(memory.available, memory.cgroup_available.value_or(memory.available));
}

double load_now(const fs::path& root) {
  const auto text = read_kernel_file(root / "proc/loadavg");
  return text ? std::strtod(text->c_str(), nullptr) : 0;
}

// For the record only.
Bytes available_or_none(const fs::path& root) {
  try {
    return available_now(root);
  } catch (const Error&) {
    return {};
  }
}

TrialOutcome interrupted_before_start() {
  TrialOutcome outcome;
  outcome.verdict = Verdict::kInterrupted;
  outcome.cause = "interrupted while it waited for memory";
  return outcome;
}

// The budget said that this much was there when the search began. Figures move a little by
// themselves, so 2 % and 32 MiB less is still enough: the margin covers it.
std::optional<TrialOutcome> refused_by_neighbours(const TrialSpec& spec,
                                                  const RunnerOptions& options, const Clock& clock,
                                                  const std::function<bool()>& stop_requested) {
  const Bytes needed = std::min(adjusted(spec.planned.bytes, spec.margin), spec.budget);
  const Bytes enough = needed.scaled(0.98) - 32_MiB;
  const Clock::Duration start = clock.now();
  Bytes available = available_now(options.root);
  while (available < enough) {
    if (stop_requested()) return interrupted_before_start();
    if (clock.now() - start >= options.refusal_patience) return refuse(needed, available);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    available = available_now(options.root);
  }
  return std::nullopt;
}

ChildCommand command_of(const RunnerOptions& options, const fs::path& folder) {
  ChildCommand command{.arguments = options.command,
                       .environment = worker_environment(),
                       .output = folder / "stderr.txt"};
  command.arguments.insert(command.arguments.end(), {"--spec", (folder / "spec.json").string()});
  std::erase_if(command.environment,
                [](const std::string& entry) { return entry.starts_with("OMP_NUM_THREADS="); });
  command.environment.push_back("OMP_NUM_THREADS=" + std::to_string(options.threads));
  if (const auto waits = short_waits()) command.environment.push_back(*waits);
  return command;
}

// events.jsonl is for people who look closer: what cannot be written there costs no verdict.
class EventLog {
 public:
  explicit EventLog(const fs::path& path) : file_(path, AppendFile::Durability::kBuffered) {}
  void append(std::string_view line) {
    if (!failed_.empty()) return;
    try {
      file_.append_line(line);
    } catch (const Error& error) {
      failed_ = error.what();
    }
  }
  [[nodiscard]] const std::string& failed() const { return failed_; }

 private:
  AppendFile file_;
  std::string failed_;
};

TrialOutcome watched(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock,
                     const std::function<bool()>& stop_requested, const TrialListener& listener,
                     const fs::path& folder) {
  EventLog events(folder / "events.jsonl");
  const Bytes beside = options.cap == CapKind::kRlimit ? spec.untouched : Bytes{};
  const auto cap = make_cap(options.cap, spec.cap + beside, fmt::format("trial-{}", spec.id));
  auto child = std::make_unique<Child>(command_of(options, folder), *cap);
  Watcher watcher(spec, options, clock, *child, *cap, folder / "stderr.txt",
                  [&](const WorkerEvent& event, std::string_view line) {
                    events.append(line);
                    listener(spec, event);
                  });
  TrialObservation seen = watcher.watch(stop_requested);
  child.reset();  // with all that it left behind
  seen.stderr_tail = tail_of(folder / "stderr.txt");
  TrialOutcome outcome = judge(spec, seen);
  if (!events.failed().empty()) outcome.evidence["not_written"].push_back(events.failed());
  return outcome;
}

void prepare_folder(const TrialSpec& spec, const fs::path& folder) {
  std::error_code ignored;
  fs::remove_all(folder, ignored);  // of an earlier try that did not end
  make_folder(folder);
  replace_file(folder / "spec.json", pretty(to_json(spec)));
}

// The journal holds the outcome too, in room that was kept for it: so a full disk loses no answer.
void write_outcome(TrialOutcome& outcome, const fs::path& folder) {
  try {
    replace_file(folder / "outcome.json", pretty(to_json(outcome)));
  } catch (const Error& error) {
    outcome.evidence["not_written"].push_back(error.what());
  }
}

}  // namespace

fs::path trial_folder(const fs::path& run_folder, int id) {
  return run_folder / "trials" / fmt::format("{:03}", id);
}

TrialOutcome run_trial(const TrialSpec& spec, const RunnerOptions& options, const Clock& clock,
                       const std::function<bool()>& stop_requested, const TrialListener& listener) {
  const fs::path folder = trial_folder(options.run_folder, spec.id);
  const double load = load_now(options.root);
  const Bytes available = available_or_none(options.root);
  std::optional<TrialOutcome> outcome;
  try {
    prepare_folder(spec, folder);
    outcome = refused_by_neighbours(spec, options, clock, stop_requested);
    if (!outcome) outcome = watched(spec, options, clock, stop_requested, listener, folder);
  } catch (const Error& error) {
    outcome = refuse(error.what());
  }
  const auto use = read_processor_use(options.root);
  outcome->noise.cores = use ? use->cores : 0;
  outcome->noise.load_average = load;
  outcome->noise.available_before = available;
  outcome->noise.available_after = available_or_none(options.root);
  write_outcome(*outcome, folder);
  return std::move(*outcome);
}

}  // namespace loadline
