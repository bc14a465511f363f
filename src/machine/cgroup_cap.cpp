#include "machine/cgroup_cap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "machine/kernel_file.h"

namespace loadline {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "loadline-";

// "pid:[4026531836]" -> "4026531836". Two containers may both have a process 7 and see one tree.
std::string pid_namespace(const fs::path& root) {
  std::error_code error;
  const std::string link = fs::read_symlink(root / "proc/self/ns/pid", error).string();
  const std::size_t open = link.find('[');
  const std::size_t close = link.find(']');
  if (error || open == std::string::npos || close == std::string::npos) return "0";
  return link.substr(open + 1, close - open - 1);
}

// A killed process leaves its group a moment later, so removing is tried for a second. A scope's
// folder is systemd's to remove, once it is empty: where somebody else does, systemd goes on
// listing the scope as running.
void empty_and_remove(const fs::path& folder, const CgroupFolders& folders) {
  const bool is_scope = folder.extension() == ".scope";
  std::error_code ignored;
  for (int attempt = 0; attempt < 100; ++attempt) {
    if (is_scope ? !fs::exists(folder, ignored) : !folders.remove(folder)) return;
    kill_group(folder);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// Nothing when a process of ours can be inside: a short-lived one goes in.
std::optional<std::string> try_entrance(int entrance) {
  const pid_t pid = ::fork();
  if (pid < 0) return system_reason();
  if (pid == 0) ::_exit(::write(entrance, "0", 1) == 1 ? 0 : errno);
  int status = 0;
  pid_t ended = 0;
  while ((ended = ::waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  if (ended != pid) return "whether a process can be moved there is not known: " + system_reason();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return std::nullopt;
  return "no process can be moved there: " +
         std::generic_category().message(WIFEXITED(status) ? WEXITSTATUS(status) : EIO);
}

// Since the machine's boot, in the kernel's ticks: with the number it tells two processes apart
// that have had the same one.
std::optional<std::uint64_t> start_time(pid_t pid) {
  const auto words = read_process_stat(pid);
  return words.size() > 19 ? parse_number(words[19]) : std::nullopt;
}

// Where that cannot be seen, it counts as living.
bool has_ended(pid_t pid, std::uint64_t started) {
  if (::kill(pid, 0) != 0 && errno == ESRCH) return true;
  const auto now = start_time(pid);
  return started != 0 && now && *now != started;
}

class CgroupCap final : public Cap {
 public:
  CgroupCap(CgroupVersion version, fs::path folder, const CgroupFolders& folders)
      : version_(version), folder_(std::move(folder)), folders_(folders) {}
  ~CgroupCap() override {
    entrance_.close();
    empty_and_remove(folder_, folders_);
  }

  // Returns the reason when the ceiling does not hold here.
  std::optional<std::string> set_ceiling(Bytes ceiling);

  [[nodiscard]] CapKind kind() const override {
    return version_ == CgroupVersion::kV1 ? CapKind::kCgroupV1 : CapKind::kCgroupV2;
  }
  [[nodiscard]] int entrance() const override { return entrance_.get(); }
  [[nodiscard]] fs::path folder() const override { return folder_; }
  [[nodiscard]] CapEvidence evidence() const override { return cgroup_evidence(folder_, version_); }
  void kill_all() override { kill_group(folder_); }

 private:
  void forbid_swap(const std::string& ceiling);
  void let_it_be_killed();

  CgroupVersion version_;
  fs::path folder_;
  const CgroupFolders& folders_;
  FileDescriptor entrance_;
};

std::optional<std::string> CgroupCap::set_ceiling(Bytes ceiling) {
  const bool v1 = version_ == CgroupVersion::kV1;
  const fs::path limit = folder_ / (v1 ? "memory.limit_in_bytes" : "memory.max");
  const std::string bytes = std::to_string(ceiling.count);
  if (const auto failed = write_kernel_file(limit, bytes)) {
    return limit.filename().string() + " cannot be set: " + *failed;
  }
  // Rounded down to a page by the kernel.
  const auto kept = read_kernel_number(limit);
  if (!kept || *kept > ceiling.count || *kept + 65536 < ceiling.count) {
    return limit.filename().string() + " does not keep what is written to it";
  }
  forbid_swap(bytes);
  let_it_be_killed();
  entrance_ = FileDescriptor(::open((folder_ / "cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  if (!entrance_.is_open()) return "cgroup.procs: " + system_reason();
  return try_entrance(entrance_.get());
}

// Each is missing on some kernels (swap accounting off); the memory ceiling holds without them.
void CgroupCap::forbid_swap(const std::string& ceiling) {
  if (version_ == CgroupVersion::kV1) {
    (void)write_kernel_file(folder_ / "memory.memsw.limit_in_bytes", ceiling);
    (void)write_kernel_file(folder_ / "memory.swappiness", "0");
  } else {
    (void)write_kernel_file(folder_ / "memory.swap.max", "0");
  }
}

// At the ceiling.
void CgroupCap::let_it_be_killed() {
  if (version_ == CgroupVersion::kV1) {
    // Inherited: where the group around has no killing, whoever meets a ceiling sleeps for ever.
    (void)write_kernel_file(folder_ / "memory.oom_control", "0");
  } else {
    // A worker that lost a child to the ceiling must not go on as if nothing had happened.
    (void)write_kernel_file(folder_ / "memory.oom.group", "1");
  }
}

// v1 takes groups anywhere. v2 gives a group a ceiling only where its parent hands the memory
// controller down, which a level that has processes of its own (ours) may not: so it is mostly a
// sibling of our own group.
bool hands_down_memory(const fs::path& level, CgroupVersion version) {
  if (version == CgroupVersion::kV1) return true;
  const auto controllers = read_kernel_file(level / "cgroup.subtree_control");
  if (!controllers) return false;
  for (const std::string_view word : split_words(*controllers)) {
    if (word == "memory") return true;
  }
  return false;
}

std::optional<std::string> why_nowhere(const std::optional<CgroupPlace>& place,
                                       CgroupVersion version) {
  const bool v1 = version == CgroupVersion::kV1;
  if (place && place->version == version) return std::nullopt;
  if (place) return std::string("the memory controller is v") + (v1 ? "2's" : "1's") + " here";
  return "no memory controller is mounted and visible in /proc/self/mountinfo";
}

// v1's peak counts the file cache, with which a group fills by itself. The kernel lets go of that
// before it kills at the ceiling: where much of it is left, it was not this ceiling that was met.
bool holds_much_cache(const fs::path& folder, Bytes limit) {
  const std::string stat = read_kernel_file(folder / "memory.stat").value_or("");
  const std::uint64_t cache = kernel_field(stat, "total_cache").value_or(0);
  const std::uint64_t shared = kernel_field(stat, "total_shmem").value_or(0);
  constexpr std::uint64_t kMuch = 10;  // a tenth
  return cache > shared && cache - shared > limit.count / kMuch;
}

}  // namespace

std::optional<std::string> CgroupFolders::make(const fs::path& folder) const {
  if (::mkdir(folder.c_str(), 0755) != 0) return system_reason();
  return std::nullopt;
}

std::optional<std::string> CgroupFolders::remove(const fs::path& folder) const {
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return system_reason();
  return std::nullopt;
}

const CgroupFolders& kernel_folders() {
  static const CgroupFolders folders;
  return folders;
}

void kill_group(const fs::path& folder) {
  if (!write_kernel_file(folder / "cgroup.kill", "1")) return;
  const auto text = read_kernel_file(folder / "cgroup.procs");
  for (const std::string_view line : split_lines(text ? *text : std::string_view())) {
    // 0 stands for a process of a namespace that we cannot see; kill(0) would be ourselves.
    const auto pid = parse_number(line);
    if (pid && *pid > 1 && *pid < INT32_MAX) ::kill(static_cast<pid_t>(*pid), SIGKILL);
  }
}

CapEvidence cgroup_evidence(const fs::path& folder, CgroupVersion version) {
  CapEvidence evidence;
  if (version == CgroupVersion::kV1) {
    const std::string control = read_kernel_file(folder / "memory.oom_control").value_or("");
    evidence.oom_kills = kernel_field(control, "oom_kill");
    evidence.failures = read_kernel_number(folder / "memory.failcnt");
    const auto limit = read_kernel_number(folder / "memory.limit_in_bytes");
    const auto peak = read_kernel_number(folder / "memory.max_usage_in_bytes");
    if (peak) evidence.peak = Bytes{*peak};
    // Newer kernels no longer count failures. A huge page finds no room a little earlier.
    if (peak && limit) {
      evidence.was_full =
          Bytes{*peak} + 2_MiB >= Bytes{*limit} && !holds_much_cache(folder, Bytes{*limit});
    }
    return evidence;
  }
  const std::string events = read_kernel_file(folder / "memory.events").value_or("");
  evidence.oom_kills = kernel_field(events, "oom_kill");
  evidence.failures = kernel_field(events, "max");
  if (const auto times = kernel_field(events, "oom")) evidence.was_full = *times > 0;
  if (const auto peak = read_kernel_number(folder / "memory.peak")) evidence.peak = Bytes{*peak};
  return evidence;
}

std::string group_name(std::string_view label, const fs::path& root) {
  const pid_t own = ::getpid();
  return fmt::format("{}{}-{}-{}-{}", kPrefix, pid_namespace(root), own,
                     start_time(own).value_or(0), label);
}

void remove_stale_groups(const fs::path& parent, const fs::path& root,
                         const CgroupFolders& folders) {
  const std::string ours = std::string(kPrefix) + pid_namespace(root) + "-";
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(ours)) continue;
    unsigned long pid = 0;
    unsigned long long started = 0;
    const int found = std::sscanf(name.c_str() + ours.size(), "%lu-%llu-", &pid, &started);
    if (found < 1 || pid <= 1 || pid >= INT32_MAX) continue;
    if (has_ended(static_cast<pid_t>(pid), started)) empty_and_remove(it->path(), folders);
  }
}

std::unique_ptr<Cap> make_cgroup_cap(CgroupVersion version, Bytes ceiling, std::string_view label,
                                     const fs::path& root, const CgroupFolders& folders) {
  const auto place = find_cgroup(root, "memory");
  std::string reasons = why_nowhere(place, version).value_or("");
  if (!reasons.empty()) throw environment_error("{}", reasons);
  for (const fs::path& level : place->ancestry()) {
    if (!reasons.empty()) reasons += "; ";
    reasons += level.string() + ": ";
    if (!hands_down_memory(level, version)) {
      reasons += "does not hand the memory controller down";
      continue;
    }
    remove_stale_groups(level, root, folders);
    const fs::path folder = level / group_name(label, root);
    if (const auto failed = folders.make(folder)) {
      reasons += *failed;
      continue;
    }
    auto cap = std::make_unique<CgroupCap>(version, folder, folders);
    const auto failed = cap->set_ceiling(ceiling);
    if (!failed) return cap;
    reasons += *failed;
  }
  throw environment_error("{}", reasons);
}

}  // namespace loadline
