#include "machine/cap.h"

#include <array>

#include "base/error.h"
#include "machine/cgroup.h"
#include "machine/cgroup_cap.h"
#include "machine/kernel_file.h"
#include "machine/systemd_scope.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::array kBestFirst{CapKind::kCgroupV2, CapKind::kSystemdScope, CapKind::kCgroupV1};

// The kernel's own ceiling on a process's data: an allocation above it fails. It counts what is
// mapped for writing, touched or not, and each process apart.
class DataLimitCap final : public Cap {
 public:
  DataLimitCap(Bytes ceiling, const fs::path& root) : ceiling_(ceiling) {
    if (const auto place = find_cgroup(root, "memory")) {
      own_ = place->folder;
      version_ = place->version;
      kills_before_ = kills();
    }
  }
  [[nodiscard]] CapKind kind() const override { return CapKind::kRlimit; }
  [[nodiscard]] std::optional<Bytes> data_limit() const override { return ceiling_; }
  // The child lives in our own group: a kill by the kernel is counted there.
  [[nodiscard]] CapEvidence evidence() const override {
    CapEvidence evidence;
    const auto now = kills();
    if (now && kills_before_ && *now >= *kills_before_) evidence.oom_kills = *now - *kills_before_;
    return evidence;
  }

 private:
  [[nodiscard]] std::optional<std::uint64_t> kills() const {
    if (own_.empty()) return std::nullopt;
    // Local: kills in groups below ours are not about this child.
    const bool v1 = version_ == CgroupVersion::kV1;
    const auto text = read_kernel_file(own_ / (v1 ? "memory.oom_control" : "memory.events.local"));
    return text ? kernel_field(*text, "oom_kill") : std::nullopt;
  }

  Bytes ceiling_;
  fs::path own_;
  CgroupVersion version_ = CgroupVersion::kV2;
  std::optional<std::uint64_t> kills_before_;
};

std::string people_name(CapKind kind) {
  switch (kind) {
    case CapKind::kCgroupV2:
      return "cgroup v2";
    case CapKind::kSystemdScope:
      return "systemd-run --user --scope";
    case CapKind::kCgroupV1:
      return "cgroup v1";
    case CapKind::kRlimit:
      return "RLIMIT_DATA";
  }
  return "?";
}

}  // namespace

std::string_view name_of(CapKind kind) {
  switch (kind) {
    case CapKind::kCgroupV2:
      return "cgroup_v2";
    case CapKind::kSystemdScope:
      return "systemd_scope";
    case CapKind::kCgroupV1:
      return "cgroup_v1";
    case CapKind::kRlimit:
      return "rlimit";
  }
  return "?";
}

std::unique_ptr<Cap> make_cap(CapKind kind, Bytes ceiling, std::string_view label,
                              const fs::path& root, const CgroupFolders& folders) {
  switch (kind) {
    case CapKind::kCgroupV2:
      return make_cgroup_cap(CgroupVersion::kV2, ceiling, label, root, folders);
    case CapKind::kCgroupV1:
      return make_cgroup_cap(CgroupVersion::kV1, ceiling, label, root, folders);
    case CapKind::kSystemdScope:
      return make_systemd_scope(ceiling, label, root);
    case CapKind::kRlimit:
      break;
  }
  return std::make_unique<DataLimitCap>(ceiling, root);
}

CapChoice choose_cap(const fs::path& root, const CgroupFolders& folders) {
  CapChoice choice;
  for (const CapKind kind : kBestFirst) {
    try {
      const auto cap = make_cap(kind, 64_MiB, "probe", root, folders);
      choice.best = {.kind = kind,
                     .why = people_name(kind) + ": a limited group was made and entered"};
      // systemd says where only once a process is inside.
      const fs::path place = cap->folder().parent_path();
      if (!place.empty()) choice.best.why += " at " + place.string();
      return choice;
    } catch (const Error& error) {
      choice.notes.push_back(people_name(kind) + ": " + error.what());
    }
  }
  choice.best = {.kind = CapKind::kRlimit,
                 .why =
                     "RLIMIT_DATA of the trial's process: no group with a memory limit can be "
                     "made here"};
  return choice;
}

}  // namespace loadline
