// Caps by a control group of our own, v1 or v2.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "machine/cap.h"
#include "machine/cgroup.h"

namespace loadline {

// Makes a group for `label` below the nearest level that lets us. Throws Error(kEnvironment) with
// the reason of each level that did not.
std::unique_ptr<Cap> make_cgroup_cap(CgroupVersion version, Bytes ceiling, std::string_view label,
                                     const std::filesystem::path& root,
                                     const CgroupFolders& folders);

// The kernel's counts in a group's folder, since the group was made.
CapEvidence cgroup_evidence(const std::filesystem::path& folder, CgroupVersion version);

// SIGKILL to all in it: v2 ends a whole group at once; where there is no cgroup.kill (v1, kernels
// before 5.14), one by one.
void kill_group(const std::filesystem::path& folder);

// "loadline-4026531836-1234-98765-trial-7": process-id namespace, process, its start, label.
std::string group_name(std::string_view label, const std::filesystem::path& root);

// Removes groups in `parent` whose process, of our own process-id namespace, has ended; what still
// runs in them is ended first.
void remove_stale_groups(const std::filesystem::path& parent, const std::filesystem::path& root,
                         const CgroupFolders& folders);

}  // namespace loadline
