#include "machine/process_activity.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>

#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// Each thread lists the processes that it has started.
void add_children(pid_t pid, std::vector<pid_t>& processes) {
  std::error_code error;
  const fs::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (fs::directory_iterator it(tasks, error), end; !error && it != end; it.increment(error)) {
    const auto text = read_kernel_file(it->path() / "children");
    if (!text) continue;
    for (const std::string_view word : split_words(*text)) {
      const auto child = parse_number(word);
      if (child && *child > 1 && *child < INT32_MAX) {
        processes.push_back(static_cast<pid_t>(*child));
      }
    }
  }
}

}  // namespace

std::optional<ProcessActivity> read_activity(pid_t pid) {
  const auto words = read_process_stat(pid);
  if (words.size() < 15) return std::nullopt;
  std::uint64_t ticks = 0;  // utime, stime, cutime, cstime (proc(5))
  for (std::size_t i = 11; i < 15; ++i) ticks += parse_number(words[i]).value_or(0);
  const auto io = read_kernel_file("/proc/" + std::to_string(pid) + "/io");
  return ProcessActivity{
      .cpu_seconds = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK)),
      .major_faults = parse_number(words[9]).value_or(0),
      // Not read_bytes: swapping in counts there, and is no life.
      .read = Bytes{io ? kernel_field(*io, "rchar:").value_or(0) : 0}};
}

double read_waited_seconds(pid_t pid) {
  std::uint64_t longest = 0;
  std::error_code error;  // threads come and go meanwhile
  const fs::path threads = "/proc/" + std::to_string(pid) + "/task";
  for (fs::directory_iterator it(threads, error), end; !error && it != end; it.increment(error)) {
    // "nanoseconds on a core, nanoseconds ready without one, times on a core"
    const std::string text = read_kernel_file(it->path() / "schedstat").value_or("");
    const auto words = split_words(text);
    if (words.size() > 1) longest = std::max(longest, parse_number(words[1]).value_or(0));
  }
  return static_cast<double>(longest) * 1e-9;
}

std::vector<pid_t> read_descendants(pid_t pid) {
  constexpr std::size_t kMost = 1000;
  std::vector<pid_t> processes{pid};
  for (std::size_t i = 0; i < processes.size() && i < kMost; ++i) {
    add_children(processes[i], processes);
  }
  processes.erase(processes.begin());
  return processes;
}

}  // namespace loadline
