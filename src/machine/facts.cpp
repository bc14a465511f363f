#include "machine/facts.h"

#include "base/error.h"
#include "base/json.h"
#include "machine/cap.h"
#include "machine/cpu.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

std::string one_line(const fs::path& path) {
  const std::string text = read_kernel_file(path).value_or("");
  const auto lines = split_lines(text);
  return lines.empty() ? "unknown" : std::string(lines.front());
}

// PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
std::string os_name(const fs::path& root) {
  const std::string text = read_kernel_file(root / "etc/os-release").value_or("");
  constexpr std::string_view kKey = "PRETTY_NAME=";
  for (std::string_view line : split_lines(text)) {
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    if (line.size() >= 2 && line.front() == '"') line = line.substr(1, line.size() - 2);
    return std::string(line);
  }
  return "unknown";
}

double load_average(const fs::path& root) {
  const std::string text = read_kernel_file(root / "proc/loadavg").value_or("");
  try {
    return text.empty() ? 0 : std::stod(text);
  } catch (const std::exception&) {
    return 0;
  }
}

Json bytes_or_null(const std::optional<Bytes>& bytes) {
  return bytes ? Json(bytes->count) : Json(nullptr);
}

Json cpu_json(const CpuFacts& cpu) {
  return {{"model", cpu.model},      {"logical", cpu.logical}, {"usable", cpu.usable},
          {"avx2", cpu.avx2},        {"avx512", cpu.avx512},   {"avx512_bf16", cpu.avx512_bf16},
          {"amx_bf16", cpu.amx_bf16}};
}

Json memory_json(const MemoryFacts& memory) {
  return {{"total_bytes", memory.total.count},
          {"available_bytes", memory.available.count},
          {"swap_free_bytes", memory.swap_free.count},
          {"cgroup_limit_bytes", bytes_or_null(memory.cgroup_limit)},
          {"cgroup_available_bytes", bytes_or_null(memory.cgroup_available)},
          {"rlimit_data_bytes", bytes_or_null(memory.rlimit_data)},
          {"rlimit_as_bytes", bytes_or_null(memory.rlimit_as)}};
}

}  // namespace

MachineFacts read_machine(const fs::path& root) {
  MachineFacts facts;
  facts.hostname = one_line(root / "proc/sys/kernel/hostname");
  facts.kernel = one_line(root / "proc/sys/kernel/osrelease");
  facts.os = os_name(root);
  facts.cpu = read_cpu(root);
  facts.memory = read_memory(root);
  CapChoice choice = choose_cap(root);
  facts.cap = std::move(choice.best);
  facts.cap_notes = std::move(choice.notes);
  facts.load_average = load_average(root);
  return facts;
}

Json to_json(const MachineFacts& facts) {
  return {{"schema_version", 1},
          {"hostname", facts.hostname},
          {"os", facts.os},
          {"kernel", facts.kernel},
          {"cpu", cpu_json(facts.cpu)},
          {"memory", memory_json(facts.memory)},
          {"cap", {{"kind", name_of(facts.cap.kind)}, {"why", facts.cap.why}}},
          {"cap_notes", facts.cap_notes},
          {"load_average", facts.load_average}};
}

}  // namespace loadline
