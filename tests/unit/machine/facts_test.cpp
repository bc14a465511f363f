#include "machine/facts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "machine/cpu.h"
#include "made_root.h"
#include "unit/environment.h"

namespace loadline {
namespace {

TEST(Facts, AMachineWithoutControlGroupsIsReadWhole) {
  const MadeRoot root;
  const MachineFacts facts = read_machine(root.path());
  EXPECT_EQ(facts.hostname, "made");
  EXPECT_EQ(facts.kernel, "6.1.0");
  EXPECT_EQ(facts.os, "Made Linux 1");
  EXPECT_EQ(facts.cpu.model, "Made CPU 1");
  EXPECT_EQ(facts.cpu.logical, 4);
  EXPECT_EQ(facts.cpu.usable, 4);
  EXPECT_TRUE(facts.cpu.avx2 && facts.cpu.avx512 && facts.cpu.avx512_bf16);
  EXPECT_FALSE(facts.cpu.amx_bf16);
  EXPECT_EQ(facts.memory.total, 16_GiB);
  EXPECT_EQ(facts.memory.available, 8_GiB);
  EXPECT_FALSE(facts.memory.cgroup_limit.has_value());
  EXPECT_EQ(facts.cap.kind, CapKind::kRlimit);
  EXPECT_EQ(facts.cap_notes.size(), 3U);
  EXPECT_DOUBLE_EQ(facts.load_average, 0.75);
}

TEST(Facts, AMissingProcIsNamed) {
  const TemporaryFolder empty;
  try {
    read_machine(empty.path());
    FAIL() << "an empty root was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_NE(std::string(error.what()).find("proc/cpuinfo"), std::string::npos);
  }
}

TEST(Facts, MeminfoWithoutMemAvailableIsRefused) {
  const MadeRoot root;
  root.write("proc/meminfo", "MemTotal: 100 kB\n");
  EXPECT_THROW(read_memory(root.path()), Error);
}

TEST(Facts, TheTightestAncestorOfAV1GroupBinds) {
  const MadeRoot root;
  root.mount_v1("/outer/inner");
  const std::string top = "sys/fs/cgroup/memory/";
  root.write(top + "memory.limit_in_bytes", "9223372036854771712\n");
  root.write(top + "outer/memory.limit_in_bytes", "1073741824\n");
  root.write(top + "outer/memory.usage_in_bytes", "536870912\n");
  root.write(
      top + "outer/memory.stat",
      "cache 1\ninactive_file 1\ntotal_inactive_file 104857600\ntotal_active_file 1048576\n");
  root.write(top + "outer/inner/memory.limit_in_bytes", "2147483648\n");
  root.write(top + "outer/inner/memory.usage_in_bytes", "1048576\n");
  const MemoryFacts memory = read_memory(root.path());
  EXPECT_EQ(memory.cgroup_limit, 1_GiB);
  EXPECT_EQ(memory.cgroup_available, 512_MiB + 101_MiB);
}

TEST(Facts, TheTightestAncestorOfAV2GroupBinds) {
  const MadeRoot root;
  root.mount_v2("/user.slice/app.scope");
  const std::string top = "sys/fs/cgroup/";
  root.write(top + "user.slice/memory.max", "max\n");
  root.write(top + "user.slice/app.scope/memory.max", "209715200\n");
  root.write(top + "user.slice/app.scope/memory.current", "104857600\n");
  root.write(top + "user.slice/app.scope/memory.stat", "anon 5\nfile 9\ninactive_file 52428800\n");
  const MemoryFacts memory = read_memory(root.path());
  EXPECT_EQ(memory.cgroup_limit, 200_MiB);
  EXPECT_EQ(memory.cgroup_available, 150_MiB);
}

// Above memory.high nothing is killed; whoever allocates is slowed down without end.
TEST(Facts, AV2GroupsHighMarkBindsAsItsLimitDoes) {
  const MadeRoot root;
  root.mount_v2("/a");
  root.write("sys/fs/cgroup/a/memory.max", "max\n");
  root.write("sys/fs/cgroup/a/memory.high", "209715200\n");
  root.write("sys/fs/cgroup/a/memory.current", "104857600\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_limit, 200_MiB);
  EXPECT_EQ(read_memory(root.path()).cgroup_available, 100_MiB);
  root.write("sys/fs/cgroup/a/memory.max", "157286400\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_limit, 150_MiB);
  root.write("sys/fs/cgroup/a/memory.high", "max\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_limit, 150_MiB);
}

TEST(Facts, MoreCacheThanUsageNeverMakesMoreThanTheLimit) {
  const MadeRoot root;
  root.mount_v2("/a");
  root.write("sys/fs/cgroup/a/memory.max", "1000000\n");
  root.write("sys/fs/cgroup/a/memory.current", "10\n");
  root.write("sys/fs/cgroup/a/memory.stat", "inactive_file 5000000\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_available, Bytes{1000000});
}

TEST(Facts, AGroupOutsideOfTheContainersViewIsReadAtItsTop) {
  const MadeRoot root;
  root.write("proc/self/mountinfo",
             "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  root.write("proc/self/cgroup", "0::/docker/abc\n");
  root.write("sys/fs/cgroup/memory.max", "104857600\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_limit, 100_MiB);
  root.write("proc/self/cgroup", "0::/../elsewhere\n");
  EXPECT_EQ(read_memory(root.path()).cgroup_limit, 100_MiB);
}

TEST(Facts, AffinityAndQuotaLeaveTheUsableCores) {
  const MadeRoot root;
  root.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1,3\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 3);
  root.mount_v2("/box");
  root.write("sys/fs/cgroup/box/cpu.max", "250000 100000\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 2);
  root.write("sys/fs/cgroup/box/cpu.max", "50000 100000\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 1);
  root.write("sys/fs/cgroup/box/cpu.max", "max 100000\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 3);
  root.mount_v1("/box");
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "200000\n");
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 2);
  root.write("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(read_machine(root.path()).cpu.usable, 3);
}

TEST(Facts, OmpNumThreadsLeavesNoMoreCoresThanItSays) {
  const MadeRoot root;
  Environment environment;
  const auto usable = [&](const char* value) {
    environment.set("OMP_NUM_THREADS", value);
    return read_machine(root.path()).cpu.usable;
  };
  EXPECT_EQ(usable("2"), 2);
  EXPECT_EQ(usable(" 3 ,1"), 3);
  EXPECT_EQ(usable("64"), 4) << "no more than there are";
  for (const char* nothing : {"", "0", "-1", "two", "1.5", "99999999999999999999"}) {
    EXPECT_EQ(usable(nothing), 4) << nothing;
  }
}

// Four cores that were busy for 1, 2, 4 and 8 s, and idle for much longer.
void write_busy_cores(const MadeRoot& root) {
  root.write("proc/stat",
             "cpu  1500 0 0 40000 0 0 0 0 0 0\n"
             "cpu0 50 10 10 10000 500 10 10 10 7 7\n"
             "cpu1 200 0 0 10000 0 0 0 0 0 0\n"
             "cpu2 0 400 0 10000 0 0 0 0 0 0\n"
             "cpu3 0 0 800 10000 0 0 0 0 0 0\n"
             "intr 12345 6 7\n");
}

TEST(Facts, OnlyTheCoresThatMayBeUsedAreLookedAtForNeighbours) {
  const MadeRoot root;
  write_busy_cores(root);
  const double tick = 100.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto all = read_processor_use(root.path());
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->cores, 4);
  EXPECT_DOUBLE_EQ(all->busy_seconds, 15 * tick);
  root.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0,2,64-127\n");
  const auto two = read_processor_use(root.path());
  ASSERT_TRUE(two.has_value());
  EXPECT_EQ(two->cores, 2);
  EXPECT_DOUBLE_EQ(two->busy_seconds, 5 * tick);
  EXPECT_FALSE(two->quota.has_value());
}

TEST(Facts, AQuotaBelowTheAffinityIsToldAsItIsOnNoCoreInParticular) {
  const MadeRoot root;
  write_busy_cores(root);
  root.mount_v2("/box");
  root.write("sys/fs/cgroup/box/cpu.max", "250000 100000\n");
  EXPECT_EQ(read_processor_use(root.path())->quota, 2.5);
  EXPECT_EQ(read_processor_use(root.path())->cores, 2);
  root.write("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1\n");
  EXPECT_FALSE(read_processor_use(root.path())->quota.has_value());
}

TEST(Facts, TheBudgetNamesWhatBinds) {
  MemoryFacts memory;
  memory.available = 8_GiB;
  EXPECT_EQ(compute_budget(memory, std::nullopt).binds, "MemAvailable");
  memory.rlimit_data = 7_GiB;
  EXPECT_EQ(compute_budget(memory, std::nullopt).binds, "RLIMIT_DATA");
  memory.cgroup_limit = 10_GiB;
  memory.cgroup_available = 6_GiB;
  EXPECT_EQ(compute_budget(memory, std::nullopt).binds, "the cgroup's limit");
  EXPECT_EQ(compute_budget(memory, 5_GiB).binds, "--memory-limit");
  EXPECT_EQ(compute_budget(memory, 5_GiB).bytes, 5_GiB);
  EXPECT_EQ(compute_budget(memory, 20_GiB).bytes, 6_GiB);
}

TEST(Facts, RlimitsAreRead) {
  const MadeRoot root;
  root.write("proc/self/limits",
             "Limit                     Soft Limit           Hard Limit           Units\n"
             "Max data size             1073741824           unlimited            bytes\n"
             "Max address space         unlimited            unlimited            bytes\n");
  const MemoryFacts memory = read_memory(root.path());
  EXPECT_EQ(memory.rlimit_data, 1_GiB);
  EXPECT_FALSE(memory.rlimit_as.has_value());
}

TEST(Facts, TheDocumentSaysUnknownLimitsAsNull) {
  const MadeRoot root;
  const Json document = to_json(read_machine(root.path()));
  EXPECT_EQ(document.at("schema_version"), 1);
  EXPECT_TRUE(document.at("memory").at("cgroup_limit_bytes").is_null());
  EXPECT_EQ(document.at("memory").at("available_bytes"), (8_GiB).count);
  EXPECT_EQ(document.at("cap").at("kind"), "rlimit");
}

TEST(Facts, TheRealMachineIsReadable) {
  const MachineFacts facts = read_machine();
  EXPECT_GE(facts.cpu.logical, facts.cpu.usable);
  EXPECT_GT(facts.memory.total, facts.memory.available);
  EXPECT_FALSE(facts.cap.why.empty());
  std::cout << to_json(facts).dump(2) << '\n';
}

}  // namespace
}  // namespace loadline
