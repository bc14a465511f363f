#include <algorithm>
#include <string>

#include "base/error.h"
#include "machine/cgroup.h"
#include "machine/facts.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// "Max data size   1073741824   unlimited   bytes": the soft limit.
std::optional<Bytes> soft_limit(const std::string& limits, std::string_view name) {
  const auto value = kernel_field(limits, name);
  return value ? std::optional(Bytes{*value}) : std::nullopt;
}

}  // namespace

MemoryFacts read_memory(const fs::path& root) {
  const fs::path file = root / "proc/meminfo";
  const std::string text = read_kernel_file(file).value_or("");
  const auto total = kernel_field_kib(text, "MemTotal:");
  const auto available = kernel_field_kib(text, "MemAvailable:");
  if (!total || !available) {
    throw environment_error("{}: has no MemTotal and MemAvailable. Is /proc mounted here?",
                            file.string());
  }
  MemoryFacts memory;
  memory.total = *total;
  memory.available = *available;
  memory.swap_free = kernel_field_kib(text, "SwapFree:").value_or(Bytes{});
  if (const auto place = find_cgroup(root, "memory")) {
    if (const auto room = tightest_room(*place)) {
      memory.cgroup_limit = room->limit;
      memory.cgroup_available = room->available;
    }
  }
  const std::string limits = read_kernel_file(root / "proc/self/limits").value_or("");
  memory.rlimit_data = soft_limit(limits, "Max data size");
  memory.rlimit_as = soft_limit(limits, "Max address space");
  return memory;
}

Budget compute_budget(const MemoryFacts& memory, std::optional<Bytes> limit) {
  Budget budget{.bytes = memory.available, .binds = "MemAvailable"};
  const auto consider = [&](std::optional<Bytes> bytes, const char* name) {
    if (bytes && *bytes < budget.bytes) budget = {.bytes = *bytes, .binds = name};
  };
  consider(memory.cgroup_available, "the cgroup's limit");
  consider(memory.rlimit_data, "RLIMIT_DATA");
  consider(memory.rlimit_as, "RLIMIT_AS");
  consider(limit, "--memory-limit");
  return budget;
}

}  // namespace loadline
