#include "machine/cpu.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "machine/cgroup.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

int count_processors(std::string_view cpuinfo) {
  int count = 0;
  for (const std::string_view line : split_lines(cpuinfo)) {
    if (line.starts_with("processor")) ++count;
  }
  return std::max(count, 1);
}

bool has_flag(std::string_view flags, std::string_view flag) {
  const auto words = split_words(flags);
  return std::find(words.begin(), words.end(), flag) != words.end();
}

struct CoreRange {
  std::uint64_t first = 0, last = 0;
};

// "0-3,8,10-11" -> 0 to 3, 8 to 8, 10 to 11.
std::vector<CoreRange> ranges_in(std::string_view list) {
  std::vector<CoreRange> ranges;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view range = list.substr(0, comma);
    const std::size_t dash = range.find('-');
    const auto first = parse_number(range);
    const auto last = dash == std::string_view::npos ? first : parse_number(range.substr(dash + 1));
    if (first && last && *last >= *first) ranges.push_back({*first, *last});
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return ranges;
}

// Without ranges nothing is known, and each core counts.
bool is_within(std::uint64_t core, const std::vector<CoreRange>& ranges) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](const CoreRange& range) {
           return core >= range.first && core <= range.last;
         });
}

int count_list(std::string_view list) {
  int count = 0;
  for (const CoreRange& range : ranges_in(list)) {
    count += static_cast<int>(range.last - range.first + 1);
  }
  return count;
}

// "4", or of nested regions "4,2". What is no count wants nothing, as OpenMP's libraries have it.
std::optional<int> wanted_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return std::nullopt;
  const std::string_view list(text);
  const auto words = split_words(list.substr(0, list.find(',')));
  const bool is_number =
      words.size() == 1 && words.front().find_first_not_of("0123456789") == std::string_view::npos;
  const auto count = is_number ? parse_number(words.front()) : std::nullopt;
  if (!count || *count < 1 || *count > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*count);
}

std::optional<std::string> allowed_list(const fs::path& root) {
  const auto status = read_kernel_file(root / "proc/self/status");
  return status ? kernel_line(*status, "Cpus_allowed_list:") : std::nullopt;
}

std::optional<double> own_quota(const fs::path& root) {
  const auto place = find_cgroup(root, "cpu");
  return place ? cpu_quota(*place) : std::nullopt;
}

// user nice system idle iowait irq softirq steal; what guests of ours use is in user already.
std::optional<std::uint64_t> busy_ticks(const std::vector<std::string_view>& words) {
  if (words.size() < 9) return std::nullopt;
  std::uint64_t ticks = 0;
  for (const std::size_t i : {1U, 2U, 3U, 6U, 7U, 8U}) ticks += parse_number(words[i]).value_or(0);
  return ticks;
}

int usable_cores(const fs::path& root, int logical) {
  int usable = logical;
  const auto allowed = allowed_list(root);
  if (allowed && count_list(*allowed) > 0) usable = std::min(usable, count_list(*allowed));
  const auto quota = own_quota(root);
  // Rounded down: a thread more than the quota would stand still for the rest of each period.
  if (quota) usable = std::min(usable, static_cast<int>(std::min(*quota, 1e6)));
  return std::max(usable, 1);
}

}  // namespace

std::optional<ProcessorUse> read_processor_use(const fs::path& root) {
  const auto text = read_kernel_file(root / "proc/stat");
  if (!text) return std::nullopt;
  const auto allowed = allowed_list(root);
  const auto ranges = ranges_in(allowed ? *allowed : std::string_view());
  ProcessorUse use;
  std::uint64_t ticks = 0;
  for (const std::string_view line : split_lines(*text)) {
    if (!line.starts_with("cpu") || line.starts_with("cpu ")) continue;
    const auto core = parse_number(line.substr(3));
    const auto busy = busy_ticks(split_words(line));
    if (!core || !busy || !is_within(*core, ranges)) continue;
    ticks += *busy;
    ++use.cores;
  }
  if (use.cores == 0) return std::nullopt;
  use.busy_seconds = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto quota = own_quota(root);
  if (quota && *quota < use.cores) {
    use.quota = quota;
    use.cores = std::max(1, static_cast<int>(*quota));
  }
  return use;
}

CpuFacts read_cpu(const fs::path& root) {
  const auto text = read_kernel_file(root / "proc/cpuinfo");
  if (!text) {
    throw environment_error("{}: cannot be read. Is /proc mounted in this container?",
                            (root / "proc/cpuinfo").string());
  }
  const std::string flags = kernel_line(*text, "flags").value_or("");
  CpuFacts cpu;
  cpu.model = kernel_line(*text, "model name").value_or("unknown");
  cpu.logical = count_processors(*text);
  cpu.wanted = wanted_threads();
  cpu.usable = std::min(usable_cores(root, cpu.logical), cpu.wanted.value_or(cpu.logical));
  cpu.avx2 = has_flag(flags, "avx2");
  cpu.avx512 = has_flag(flags, "avx512f");
  cpu.avx512_bf16 = has_flag(flags, "avx512_bf16");
  cpu.amx_bf16 = has_flag(flags, "amx_bf16");
  return cpu;
}

}  // namespace loadline
