#include "machine/memory_watch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "machine/facts.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

struct Neighbour {
  std::string name;
  Bytes resident;
};

// The process with the most resident memory that is not this one.
std::optional<Neighbour> largest_neighbour(const fs::path& root) {
  const std::string own = std::to_string(::getpid());
  std::optional<Neighbour> largest;
  std::error_code ignored;
  for (fs::directory_iterator it(root / "proc", ignored), end; it != end; it.increment(ignored)) {
    const std::string pid = it->path().filename().string();
    if (pid.empty() || pid[0] < '1' || pid[0] > '9' || pid == own) continue;
    const std::string status = read_kernel_file(it->path() / "status").value_or("");
    const Bytes resident = kernel_field_kib(status, "VmRSS:").value_or(Bytes{});
    if (largest && resident <= largest->resident) continue;
    largest = {kernel_line(status, "Name:").value_or("a process"), resident};
  }
  return largest;
}

// "full avg10=1.23 avg60=...": the first number; 0 where the kernel does not count.
double stalled_percent(const fs::path& root) {
  const std::string text = read_kernel_file(root / "proc/pressure/memory").value_or("");
  const std::string line = kernel_line(text, "full").value_or("");
  constexpr std::string_view kName = "avg10=";
  const std::size_t at = line.find(kName);
  double percent = 0;
  if (at == std::string::npos) return percent;
  std::from_chars(line.data() + at + kName.size(), line.data() + line.size(), percent);
  return percent;
}

// What is said when `left` of `all` is too little; empty when it is enough.
std::string too_little(Bytes left, Bytes all, const char* where) {
  const auto share =
      static_cast<std::uint64_t>(MemoryWatch::kLeastShare * static_cast<double>(all.count));
  if (left >= std::min(Bytes{share}, MemoryWatch::kLeastLeft)) return "";
  return fmt::format("only {} of memory is left {}", to_string(left), where);
}

}  // namespace

MemoryWatch::MemoryWatch(const Clock& clock, fs::path root)
    : clock_(clock), root_(std::move(root)), swapped_before_(swapped()) {}

std::optional<std::string> MemoryWatch::look() {
  const Clock::Duration now = clock_.now();
  if (looked_ && now - *looked_ < kInterval) return std::nullopt;
  looked_ = now;
  const std::string found = dangers();
  if (found.empty()) {
    if (in_danger_since_ && now - *in_danger_since_ >= kCalm) in_danger_since_.reset();
    return std::nullopt;
  }
  const bool known = in_danger_since_.has_value();
  in_danger_since_ = now;
  if (known) return std::nullopt;
  const std::optional<Neighbour> other = largest_neighbour(root_);
  if (!other) return found;
  return fmt::format("{}; the largest other process is {} ({})", found, other->name,
                     to_string(other->resident));
}

std::string MemoryWatch::dangers() const {
  std::string text;
  const auto add = [&](const std::string& danger) {
    if (danger.empty()) return;
    text += text.empty() ? danger : "; " + danger;
  };
  try {
    const MemoryFacts memory = read_memory(root_);
    add(too_little(memory.available, memory.total, "on this machine"));
    if (memory.cgroup_limit && memory.cgroup_available) {
      add(too_little(*memory.cgroup_available, *memory.cgroup_limit, "in this control group"));
    }
  } catch (const Error&) {
    return text;
  }
  const double stalled = stalled_percent(root_);
  if (stalled >= kMostStalled) {
    add(fmt::format("all tasks waited for memory during {:.0f} % of the last 10 seconds", stalled));
  }
  const Bytes now = swapped();
  if (now > swapped_before_ + kMostSwapped) {
    add(fmt::format("{} of this process went to swap", to_string(now - swapped_before_)));
  }
  return text;
}

Bytes MemoryWatch::swapped() const {
  const std::string status = read_kernel_file(root_ / "proc/self/status").value_or("");
  return kernel_field_kib(status, "VmSwap:").value_or(Bytes{});
}

}  // namespace loadline
