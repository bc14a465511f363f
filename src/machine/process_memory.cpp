#include "machine/process_memory.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace {

// A zombie and a kernel thread have a status file without the Vm lines.
std::optional<ProcessMemory> parse_status(const std::string& text) {
  const auto peak = kernel_field_kib(text, "VmHWM:");
  if (!peak) return std::nullopt;
  const auto field = [&](std::string_view name) {
    return kernel_field_kib(text, name).value_or(Bytes{});
  };
  return ProcessMemory{.peak = *peak,
                       .resident = field("VmRSS:"),
                       .anonymous = field("RssAnon:"),
                       .file = field("RssFile:"),
                       .swapped = field("VmSwap:")};
}

// Each thread lists the processes that it has started.
void add_children(pid_t pid, std::vector<pid_t>& processes) {
  std::error_code error;
  const std::filesystem::path tasks = "/proc/" + std::to_string(pid) + "/task";
  for (std::filesystem::directory_iterator it(tasks, error), end; !error && it != end;
       it.increment(error)) {
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

ProcessMemory read_own_memory() {
  const auto text = read_kernel_file("/proc/self/status");
  const auto memory = text ? parse_status(*text) : std::nullopt;
  if (!memory) {
    throw environment_error(
        "/proc/self/status: VmHWM cannot be read there. Is /proc mounted in this container?");
  }
  return *memory;
}

std::optional<ProcessMemory> read_process_memory(pid_t pid) {
  const auto text = read_kernel_file("/proc/" + std::to_string(pid) + "/status");
  return text ? parse_status(*text) : std::nullopt;
}

std::optional<Bytes> read_tree_memory(pid_t pid) {
  constexpr std::size_t kMostProcesses = 1000;
  std::vector<pid_t> processes{pid};
  for (std::size_t i = 0; i < processes.size() && i < kMostProcesses; ++i) {
    add_children(processes[i], processes);
  }
  if (processes.size() == 1) return std::nullopt;
  Bytes sum;
  for (const pid_t process : processes) {
    const auto text = read_kernel_file("/proc/" + std::to_string(process) + "/smaps_rollup");
    if (text) sum += kernel_field_kib(*text, "Pss:").value_or(Bytes{});
  }
  return sum;
}

}  // namespace loadline
