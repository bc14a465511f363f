// A physical ceiling over a process and all that it starts. The kernel enforces it, and tells
// afterwards what it did: that is the evidence for "out of memory".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/file.h"
#include "machine/facts.h"

namespace loadline {

// "cgroup_v2", "systemd_scope", "cgroup_v1", "rlimit".
std::string_view name_of(CapKind kind);

// What the kernel says of the process's life under the cap.
struct CapEvidence {
  std::optional<std::uint64_t> oom_kills;  // processes that the kernel killed at this ceiling
  std::optional<std::uint64_t> failures;   // times that the ceiling was met (and room was made)
  // Whether anything ever found no room below the ceiling. If not, what was killed for memory was
  // killed for that of the machine, or of a group around this one.
  std::optional<bool> was_full;
  std::optional<Bytes> peak;  // with the file cache that was charged to it
};

class Cap {
 public:
  Cap() = default;
  Cap(const Cap&) = delete;
  Cap& operator=(const Cap&) = delete;
  // Ends what is still inside and removes the group.
  virtual ~Cap() = default;

  [[nodiscard]] virtual CapKind kind() const = 0;
  // The command that has to be run so that `command` runs under the cap.
  [[nodiscard]] virtual std::vector<std::string> wrap(std::vector<std::string> command) const {
    return command;
  }
  // A descriptor to which the child writes "0" before it becomes the worker, or -1.
  [[nodiscard]] virtual int entrance() const { return -1; }
  // RLIMIT_DATA of the child, where that is the cap.
  [[nodiscard]] virtual std::optional<Bytes> data_limit() const { return std::nullopt; }
  // The group's folder, for one who has to clean up after us.
  [[nodiscard]] virtual std::filesystem::path folder() const { return {}; }
  [[nodiscard]] virtual CapEvidence evidence() const { return {}; }
  // A descriptor that the child gets as its descriptor 4, or -1.
  [[nodiscard]] virtual int held_descriptor() const { return -1; }
  // Told now and then, and at its end, of the child: a scope's group is known only by its member.
  virtual void observe(pid_t /*child*/) {}
  // Whether the child that was observed has been inside.
  [[nodiscard]] virtual bool was_entered() const { return true; }
  // SIGKILL to everything inside; a child may have left its process group.
  virtual void kill_all() {}
};

// How groups are made: the kernel fills a new folder with its files. Tests give one that does the
// same in an ordinary folder.
class CgroupFolders {
 public:
  virtual ~CgroupFolders() = default;
  // Both return nothing on success, else the reason.
  [[nodiscard]] virtual std::optional<std::string> make(const std::filesystem::path& folder) const;
  [[nodiscard]] virtual std::optional<std::string> remove(
      const std::filesystem::path& folder) const;
};
const CgroupFolders& kernel_folders();

// Makes a cap of `ceiling`. `label` tells this process's caps apart. Groups that an ended process
// of ours left behind are removed on the way. Throws Error(kEnvironment) saying what did not work
// and what to do when the kind cannot be had here.
std::unique_ptr<Cap> make_cap(CapKind kind, Bytes ceiling, std::string_view label,
                              const std::filesystem::path& root = "/",
                              const CgroupFolders& folders = kernel_folders());

// Tries each kind for real, best first (a group is made, limited, entered and removed).
struct CapChoice {
  CapFacts best;
  std::vector<std::string> notes;  // for each better kind: why it is not the one
};
CapChoice choose_cap(const std::filesystem::path& root = "/",
                     const CgroupFolders& folders = kernel_folders());

}  // namespace loadline
