#include "machine/process_memory.h"

#include <string>
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

Bytes read_tree_memory(const std::vector<pid_t>& processes) {
  Bytes sum;
  for (const pid_t process : processes) {
    const auto text = read_kernel_file("/proc/" + std::to_string(process) + "/smaps_rollup");
    if (text) sum += kernel_field_kib(*text, "Pss:").value_or(Bytes{});
  }
  return sum;
}

}  // namespace loadline
