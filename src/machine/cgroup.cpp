#include "machine/cgroup.h"

#include <algorithm>
#include <charconv>

#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// v1 writes "no limit" as the largest multiple of a page.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62;

struct Mount {
  std::string top;    // which part of the hierarchy is mounted: "/" or a container's group
  std::string point;  // where
  std::string type;
  std::string options;
};

// Blanks in paths stand as \040 in mountinfo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '\\' && i + 3 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
            text.data() + i + 4) {
      plain += static_cast<char>(code);
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:1 - cgroup2 cgroup2 rw,memory"
std::optional<Mount> parse_mount(std::string_view line) {
  const auto words = split_words(line);
  const auto dash = std::find(words.begin(), words.end(), "-");
  if (words.size() < 7 || words.end() - dash < 4) return std::nullopt;
  return Mount{.top = unescape(words[3]),
               .point = unescape(words[4]),
               .type = std::string(dash[1]),
               .options = std::string(dash[3])};
}

bool has_option(std::string_view list, std::string_view option) {
  std::size_t from = 0;
  while (from <= list.size()) {
    const std::size_t to = std::min(list.find(',', from), list.size());
    if (list.substr(from, to - from) == option) return true;
    from = to + 1;
  }
  return false;
}

std::optional<Mount> find_mount(const fs::path& root, std::string_view type,
                                std::string_view controller) {
  const auto text = read_kernel_file(root / "proc/self/mountinfo");
  if (!text) return std::nullopt;
  for (const std::string_view line : split_lines(*text)) {
    auto mount = parse_mount(line);
    if (!mount || mount->type != type) continue;
    if (controller.empty() || has_option(mount->options, controller)) return mount;
  }
  return std::nullopt;
}

// The path after "4:memory:" (v1) or "0::" (v2).
std::optional<std::string> own_path(const fs::path& root, std::string_view process,
                                    std::string_view controller) {
  const auto text = read_kernel_file(root / "proc" / process / "cgroup");
  if (!text) return std::nullopt;
  for (const std::string_view line : split_lines(*text)) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view names = line.substr(first + 1, second - first - 1);
    const bool ours = controller.empty() ? line.starts_with("0::") : has_option(names, controller);
    if (ours) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

CgroupPlace place_of(const fs::path& root, const Mount& mount, const std::string& path,
                     CgroupVersion version) {
  const fs::path top = (root / fs::path(mount.point).relative_path()).lexically_normal();
  const fs::path below = fs::path(path).lexically_relative(mount.top);
  CgroupPlace place{.version = version, .mount = top, .folder = top};
  // Outside of what is mounted here (a container's view): its top is the nearest that we see.
  const bool outside = below.empty() || *below.begin() == "..";
  if (!outside && below != ".") place.folder = top / below;
  return place;
}

std::optional<CgroupPlace> find_in(const fs::path& root, CgroupVersion version,
                                   std::string_view controller, std::string_view process) {
  const bool v1 = version == CgroupVersion::kV1;
  const auto path = own_path(root, process, v1 ? controller : "");
  const auto mount = find_mount(root, v1 ? "cgroup" : "cgroup2", v1 ? controller : "");
  if (!path || !mount) return std::nullopt;
  return place_of(root, *mount, *path, version);
}

std::optional<CgroupRoom> room_of(const fs::path& folder, CgroupVersion version) {
  const bool v1 = version == CgroupVersion::kV1;
  auto limit = read_kernel_number(folder / (v1 ? "memory.limit_in_bytes" : "memory.max"));
  // Above it nothing is killed, but all that allocates is made to wait, as good as for ever.
  const auto high = v1 ? std::nullopt : read_kernel_number(folder / "memory.high");
  if (high && (!limit || *high < *limit)) limit = high;
  const auto usage = read_kernel_number(folder / (v1 ? "memory.usage_in_bytes" : "memory.current"));
  if (!limit || *limit >= kNoLimit) return std::nullopt;
  const std::string stat = read_kernel_file(folder / "memory.stat").value_or("");
  const auto cached = [&](const char* list) {
    return Bytes{kernel_field(stat, std::string(v1 ? "total_" : "") + list).value_or(0)};
  };
  const Bytes cache = cached("inactive_file") + cached("active_file");
  const Bytes held = Bytes{usage.value_or(0)} - cache;
  return CgroupRoom{.limit = {*limit}, .available = Bytes{*limit} - held, .folder = folder};
}

std::optional<double> quota_of(const fs::path& folder, CgroupVersion version) {
  std::optional<std::uint64_t> quota;
  std::optional<std::uint64_t> period;
  if (version == CgroupVersion::kV1) {
    quota = read_kernel_number(folder / "cpu.cfs_quota_us");  // -1: no number for us
    period = read_kernel_number(folder / "cpu.cfs_period_us");
  } else if (const auto text = read_kernel_file(folder / "cpu.max")) {
    const auto words = split_words(*text);  // "150000 100000" or "max 100000"
    if (words.size() == 2) quota = parse_number(words[0]);
    if (words.size() == 2) period = parse_number(words[1]);
  }
  if (!quota || !period || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

std::vector<fs::path> CgroupPlace::ancestry() const {
  std::vector<fs::path> levels;
  fs::path level = folder;
  while (level != mount && level.has_relative_path()) {
    levels.push_back(level);
    level = level.parent_path();
  }
  levels.push_back(mount);
  return levels;
}

std::optional<CgroupPlace> find_cgroup(const fs::path& root, std::string_view controller,
                                       std::string_view process) {
  auto place = find_in(root, CgroupVersion::kV1, controller, process);
  return place ? place : find_in(root, CgroupVersion::kV2, controller, process);
}

std::optional<CgroupRoom> tightest_room(const CgroupPlace& memory) {
  std::optional<CgroupRoom> tightest;
  for (const fs::path& level : memory.ancestry()) {
    const auto room = room_of(level, memory.version);
    if (room && (!tightest || room->available < tightest->available)) tightest = room;
  }
  return tightest;
}

std::optional<double> cpu_quota(const CgroupPlace& cpu) {
  std::optional<double> least;
  for (const fs::path& level : cpu.ancestry()) {
    const auto quota = quota_of(level, cpu.version);
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

}  // namespace loadline
