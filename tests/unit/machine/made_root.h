// A made root folder with the parts of /proc and /sys that a test wants.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/file.h"

namespace loadline {

class MadeRoot {
 public:
  MadeRoot() {
    write("proc/meminfo",
          "MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\nSwapFree: 0 kB\n");
    write("proc/cpuinfo",
          "processor\t: 0\nmodel name\t: Made CPU 1\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\n"
          "processor\t: 1\nmodel name\t: Made CPU 1\nflags\t\t: fpu avx2\n\n"
          "processor\t: 2\n\nprocessor\t: 3\n\n");
    write("proc/loadavg", "0.75 0.50 0.25 1/234 5678\n");
    write("proc/sys/kernel/hostname", "made\n");
    write("proc/sys/kernel/osrelease", "6.1.0\n");
    write("etc/os-release", "NAME=x\nPRETTY_NAME=\"Made Linux 1\"\n");
  }
  void write(const std::string& path, std::string_view text) const {
    std::filesystem::create_directories((folder_.path() / path).parent_path());
    std::ofstream(folder_.path() / path) << text;
  }
  [[nodiscard]] std::filesystem::path path() const { return folder_.path(); }

  // Where a cgroup v1 memory hierarchy is mounted, and this process in it.
  void mount_v1(const std::string& group) const {
    write("proc/self/mountinfo",
          "24 1 0:20 / /proc rw - proc proc rw\n"
          "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
          "36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
          "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    write("proc/self/cgroup", "4:memory:" + group + "\n1:cpu,cpuacct:" + group + "\n0::/\n");
  }
  void mount_v2(const std::string& group) const {
    write("proc/self/mountinfo",
          "31 23 0:28 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
    write("proc/self/cgroup", "0::" + group + "\n");
  }

 private:
  TemporaryFolder folder_;
};

}  // namespace loadline
