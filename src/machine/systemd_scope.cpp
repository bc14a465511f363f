#include "machine/systemd_scope.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

#include "base/error.h"
#include "machine/cgroup.h"
#include "machine/cgroup_cap.h"
#include "machine/child.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

// systemd removes a scope as soon as it is empty, and with it the kernel's counts. So a shell stays
// inside, reading from us on descriptor 4, until we have seen them (or have died).
constexpr const char* kShell =
    "(trap '' TERM INT HUP; exec 3>&-; read line <&4) & exec 4<&-; exec \"$@\"";

// A busy machine is slow to start a scope; one without an answer has a bus that hangs.
constexpr auto kPatience = std::chrono::seconds(20);

class SystemdScope final : public Cap {
 public:
  SystemdScope(Bytes ceiling, std::string unit, fs::path root)
      : ceiling_(ceiling), unit_(std::move(unit)), root_(std::move(root)) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      throw environment_error("a pipe cannot be made: {}", system_reason());
    }
    held_ = FileDescriptor(::fcntl(ends[0], F_DUPFD_CLOEXEC, 10));
    ::close(ends[0]);
    release_ = FileDescriptor(ends[1]);
  }
  ~SystemdScope() override { SystemdScope::kill_all(); }

  [[nodiscard]] CapKind kind() const override { return CapKind::kSystemdScope; }
  [[nodiscard]] int held_descriptor() const override { return held_.get(); }
  [[nodiscard]] fs::path folder() const override { return folder_; }
  [[nodiscard]] bool was_entered() const override { return !folder_.empty(); }
  [[nodiscard]] std::vector<std::string> wrap(std::vector<std::string> command) const override;
  void observe(pid_t child) override;
  [[nodiscard]] CapEvidence evidence() const override { return last_seen(); }
  void kill_all() override {
    last_ = last_seen();
    if (!folder_.empty()) kill_group(folder_);
  }

 private:
  [[nodiscard]] CapEvidence last_seen() const {
    const CapEvidence now =
        folder_.empty() ? CapEvidence{} : cgroup_evidence(folder_, CgroupVersion::kV2);
    return now.oom_kills ? now : last_;
  }

  Bytes ceiling_;
  std::string unit_;
  fs::path root_;
  fs::path folder_;  // known once the child is inside
  CapEvidence last_;
  FileDescriptor held_, release_;
};

std::vector<std::string> SystemdScope::wrap(std::vector<std::string> command) const {
  // Of systemd-run it would be systemd-run itself.
  if (command.at(0) == "/proc/self/exe") {
    command[0] = "/proc/" + std::to_string(::getpid()) + "/exe";
  }
  std::vector<std::string> whole{"systemd-run",
                                 "--user",
                                 "--scope",
                                 "--quiet",
                                 "--collect",
                                 "--unit=" + unit_,
                                 "--property=MemoryMax=" + std::to_string(ceiling_.count),
                                 "--property=MemorySwapMax=0",
                                 "--",
                                 "/bin/sh",
                                 "-c",
                                 kShell,
                                 "loadline-trial"};
  whole.insert(whole.end(), command.begin(), command.end());
  return whole;
}

void SystemdScope::observe(pid_t child) {
  if (!folder_.empty()) {
    last_ = last_seen();
    return;
  }
  const auto place = find_cgroup(root_, "memory", std::to_string(child));
  if (place && place->folder.filename() == unit_ + ".scope") folder_ = place->folder;
}

std::string read_until_closed(const Child& child, std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::string text;
  char piece[256];
  while (std::chrono::steady_clock::now() < deadline && text.size() < 4096) {
    pollfd wait{.fd = child.protocol(), .events = POLLIN, .revents = 0};
    ::poll(&wait, 1, 100);
    const ssize_t n = ::read(child.protocol(), piece, sizeof piece);
    if (n == 0) break;
    if (n > 0) text.append(piece, static_cast<std::size_t>(n));
  }
  return text;
}

// Asks a member of a scope for its ceiling.
std::string ceiling_seen_inside(SystemdScope& scope, const fs::path& mount) {
  const TemporaryFolder folder;
  const std::string look =
      "cat \"" + mount.string() + "$(sed -n s/^0:://p /proc/self/cgroup)/memory.max\" >&3";
  Child child({.arguments = {"/bin/sh", "-c", look},
               .environment = worker_environment(),
               .output = folder.path() / "output"},
              scope);
  std::string seen = read_until_closed(child, kPatience);
  scope.observe(child.pid());
  if (seen.empty()) seen = read_file(folder.path() / "output", 1_MiB).substr(0, 300);
  return seen;
}

void require_session() {
  if (std::getenv("DBUS_SESSION_BUS_ADDRESS") != nullptr) return;
  if (std::getenv("XDG_RUNTIME_DIR") != nullptr) return;
  throw environment_error(
      "no session bus (neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set)");
}

}  // namespace

std::unique_ptr<Cap> make_systemd_scope(Bytes ceiling, std::string_view label,
                                        const fs::path& root) {
  const auto place = find_cgroup(root, "memory");
  if (!place || place->version != CgroupVersion::kV2) {
    throw environment_error("needs the memory controller of cgroup v2");
  }
  require_session();
  const std::string unit = group_name(label, root);
  SystemdScope trial(ceiling, unit + "-try", root);
  const std::string seen = ceiling_seen_inside(trial, place->mount);
  const auto kept = parse_number(seen);
  if (!kept || *kept > ceiling.count || *kept + 65536 < ceiling.count) {
    throw environment_error(
        "a scope did not get its ceiling: {}",
        seen.empty() ? fmt::format("no answer in {} s", kPatience.count()) : seen);
  }
  // A scope in which a child of a killed search's trial lives on is not systemd's to end.
  if (const fs::path known = trial.folder(); !known.empty()) {
    remove_stale_groups(known.parent_path(), root, kernel_folders());
  }
  return std::make_unique<SystemdScope>(ceiling, unit, root);
}

}  // namespace loadline
