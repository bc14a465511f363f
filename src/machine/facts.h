// What this machine is and what it allows. Everything is read below a root folder, so that a test
// can give a made one with its own /proc and /sys.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/json_fwd.h"

namespace loadline {

struct CpuFacts {
  std::string model;  // "AMD EPYC 9654" as /proc/cpuinfo has it
  int logical = 1;    // all of them
  int usable = 1;  // the thread count of a trial: after affinity, cgroup quota and OMP_NUM_THREADS
  std::optional<int> wanted = {};  // what OMP_NUM_THREADS says, where it says a count
  bool avx2 = false;
  bool avx512 = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  [[nodiscard]] bool fast_bf16() const { return avx512_bf16 || amx_bf16; }
};

struct MemoryFacts {
  Bytes total;      // MemTotal
  Bytes available;  // MemAvailable: what can be taken without swapping
  Bytes swap_free;
  // The tightest limit that already binds this process (cgroup v1 or v2, over all ancestors), less
  // what the cgroup holds that cannot be reclaimed.
  std::optional<Bytes> cgroup_limit;
  std::optional<Bytes> cgroup_available;
  std::optional<Bytes> rlimit_data;
  std::optional<Bytes> rlimit_as;
};

enum class CapKind { kCgroupV2, kSystemdScope, kCgroupV1, kRlimit };

// A way to hold a process under a number of bytes, tried on this machine and not only looked for.
struct CapFacts {
  CapKind kind = CapKind::kRlimit;
  std::string
      why;  // for people: "cgroup v1 memory controller is writable at /sys/fs/cgroup/memory/..."
};

struct MachineFacts {
  std::string hostname;
  std::string os;      // PRETTY_NAME of /etc/os-release
  std::string kernel;  // uname -r
  CpuFacts cpu;
  MemoryFacts memory;
  CapFacts cap;                        // the best that works
  std::vector<std::string> cap_notes;  // for each better kind: why it is not the one
  double load_average = 0;             // 1 minute
};

// Reads below `root` ("/" outside of tests). Throws Error(kEnvironment) naming the file when /proc
// is unusable.
MachineFacts read_machine(const std::filesystem::path& root = "/");
MemoryFacts read_memory(const std::filesystem::path& root = "/");

// budget = min(MemAvailable, cgroup or rlimit ceiling, limit if given).
struct Budget {
  Bytes bytes;
  std::string binds;  // "MemAvailable", "the cgroup's limit", "RLIMIT_DATA", "--memory-limit"
};
Budget compute_budget(const MemoryFacts& memory, std::optional<Bytes> limit);

// The documents of `loadline machine --json` and of run.json.
Json to_json(const MachineFacts& facts);

}  // namespace loadline
