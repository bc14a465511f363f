// Where this process stands in the control groups, and what they leave it. v1 and v2.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace loadline {

enum class CgroupVersion : std::uint8_t { kV1, kV2 };

// A folder of a mounted control group hierarchy.
struct CgroupPlace {
  CgroupVersion version = CgroupVersion::kV2;
  std::filesystem::path mount;   // its top that this process can see
  std::filesystem::path folder;  // the process's own group; at or below `mount`

  // `folder`, its parent ... up to and with `mount`.
  [[nodiscard]] std::vector<std::filesystem::path> ancestry() const;
};

// The group that a controller ("memory", "cpu") has for a process ("self" or a number), by
// /proc/PROCESS/cgroup and /proc/self/mountinfo below `root`. v1 wins where it has the controller,
// as the kernel lets only one of the two have it. Nothing where neither is mounted. A v2 place is
// returned also when the controller is not enabled there: that is for the caller to see.
std::optional<CgroupPlace> find_cgroup(const std::filesystem::path& root,
                                       std::string_view controller,
                                       std::string_view process = "self");

// The level of a memory hierarchy that leaves the least.
struct CgroupRoom {
  Bytes limit;
  Bytes available;  // limit - usage + file cache that the kernel would drop first
  std::filesystem::path folder;
};
// Nothing when no level has a limit.
std::optional<CgroupRoom> tightest_room(const CgroupPlace& memory);

// The cores that a quota leaves (1.5 for 150 ms in 100 ms), the least over all levels; nothing
// when unlimited.
std::optional<double> cpu_quota(const CgroupPlace& cpu);

}  // namespace loadline
