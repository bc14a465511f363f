#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "machine/cap.h"
#include "machine/cgroup_cap.h"
#include "made_root.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Does what the kernel does to a new group's folder, in an ordinary one.
class MadeFolders : public CgroupFolders {
 public:
  explicit MadeFolders(CgroupVersion version) : version_(version) {}
  [[nodiscard]] std::optional<std::string> make(const fs::path& folder) const override {
    if (auto failed = CgroupFolders::make(folder)) return failed;
    made_.push_back(folder);
    const bool v1 = version_ == CgroupVersion::kV1;
    for (const char* name : {"cgroup.procs", v1 ? "memory.limit_in_bytes" : "memory.max",
                             v1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max",
                             v1 ? "memory.swappiness" : "memory.oom.group",
                             v1 ? "memory.oom_control" : "cgroup.kill"}) {
      std::ofstream(folder / name) << "";
    }
    return std::nullopt;
  }
  [[nodiscard]] std::optional<std::string> remove(const fs::path& folder) const override {
    fs::remove_all(folder);
    return std::nullopt;
  }
  [[nodiscard]] const std::vector<fs::path>& made() const { return made_; }

 private:
  CgroupVersion version_;
  mutable std::vector<fs::path> made_;
};

std::string content(const fs::path& path) { return read_file(path, 1_MiB); }

TEST(Caps, AV2CapIsMadeWhereMemoryIsHandedDown) {
  const MadeRoot root;
  root.mount_v2("/user.slice/app.slice/shell.scope");
  const std::string slice = "sys/fs/cgroup/user.slice/app.slice/";
  root.write(slice + "shell.scope/cgroup.subtree_control", "\n");
  root.write(slice + "cgroup.subtree_control", "cpu memory pids\n");
  const MadeFolders folders(CgroupVersion::kV2);
  const auto cap = make_cap(CapKind::kCgroupV2, 300_MiB, "trial-1", root.path(), folders);
  EXPECT_EQ(cap->kind(), CapKind::kCgroupV2);
  EXPECT_EQ(cap->folder().parent_path(), root.path() / (slice.substr(0, slice.size() - 1)));
  EXPECT_THAT(cap->folder().filename().string(),
              testing::MatchesRegex("loadline-0-" + std::to_string(getpid()) + "-[0-9]+-trial-1"));
  EXPECT_EQ(content(cap->folder() / "memory.max"), "314572800");
  EXPECT_EQ(content(cap->folder() / "memory.swap.max"), "0");
  EXPECT_EQ(content(cap->folder() / "memory.oom.group"), "1");
  EXPECT_EQ(content(cap->folder() / "cgroup.procs"), "0");  // the probe went in
  EXPECT_EQ(folders.made().size(), 1U);
}

// memsw counts memory and swap together: at the same ceiling nothing is left for swap.
TEST(Caps, AV1CapLeavesNoSwap) {
  const MadeRoot root;
  root.mount_v1("/box");
  fs::create_directories(root.path() / "sys/fs/cgroup/memory/box");
  const MadeFolders folders(CgroupVersion::kV1);
  const auto cap = make_cap(CapKind::kCgroupV1, 300_MiB, "trial-1", root.path(), folders);
  EXPECT_EQ(content(cap->folder() / "memory.limit_in_bytes"), "314572800");
  EXPECT_EQ(content(cap->folder() / "memory.memsw.limit_in_bytes"), "314572800");
  EXPECT_EQ(content(cap->folder() / "memory.swappiness"), "0");
  EXPECT_EQ(content(cap->folder() / "memory.oom_control"), "0") << "where its parent has it off";
}

TEST(Caps, AV2CapReadsTheKernelsCounts) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "memory.events") << "low 0\nhigh 0\nmax 17\noom 2\noom_kill 1\n";
  std::ofstream(folder.path() / "memory.peak") << "104857600\n";
  const CapEvidence evidence = cgroup_evidence(folder.path(), CgroupVersion::kV2);
  EXPECT_EQ(evidence.oom_kills, 1U);
  EXPECT_EQ(evidence.failures, 17U);
  EXPECT_EQ(evidence.peak, 100_MiB);
  EXPECT_EQ(evidence.was_full, true);
}

// Kernel 6.18 leaves memory.failcnt at 0 whatever happens.
TEST(Caps, AV1CapThatWasFullIsKnownByItsPeak) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "memory.failcnt") << "0\n";
  std::ofstream(folder.path() / "memory.limit_in_bytes") << "104857600\n";
  std::ofstream(folder.path() / "memory.max_usage_in_bytes") << "104857600\n";
  const CapEvidence full = cgroup_evidence(folder.path(), CgroupVersion::kV1);
  EXPECT_EQ(full.failures, 0U);
  EXPECT_EQ(full.peak, 100_MiB);
  EXPECT_EQ(full.was_full, true);
  std::ofstream(folder.path() / "memory.max_usage_in_bytes") << "94371840\n";
  EXPECT_EQ(cgroup_evidence(folder.path(), CgroupVersion::kV1).was_full, false);
}

// The kernel would have dropped it before it killed at this ceiling.
TEST(Caps, AV1CapThatTheFileCacheFilledWasNotFull) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "memory.limit_in_bytes") << "104857600\n";
  std::ofstream(folder.path() / "memory.max_usage_in_bytes") << "104857600\n";
  const auto was_full_with = [&](const char* stat) {
    std::ofstream(folder.path() / "memory.stat") << stat;
    return cgroup_evidence(folder.path(), CgroupVersion::kV1).was_full;
  };
  EXPECT_EQ(was_full_with("cache 0\ntotal_cache 31457280\ntotal_shmem 4096\n"), false);
  EXPECT_EQ(was_full_with("total_cache 9437184\ntotal_shmem 0\n"), true);
  EXPECT_EQ(was_full_with("total_cache 31457280\ntotal_shmem 31457280\n"), true) << "not a cache";
}

// Making room for a page by dropping file cache is no lack of memory.
TEST(Caps, AV2CapThatMadeRoomWasNotFull) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "memory.events") << "high 0\nmax 17\noom 0\noom_kill 1\n";
  EXPECT_EQ(cgroup_evidence(folder.path(), CgroupVersion::kV2).was_full, false);
}

TEST(Caps, OomKillDisableIsNotTakenForOomKill) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "memory.oom_control")
      << "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
  EXPECT_EQ(cgroup_evidence(folder.path(), CgroupVersion::kV1).oom_kills, 3U);
  std::ofstream(folder.path() / "memory.oom_control") << "oom_kill_disable 1\nunder_oom 0\n";
  EXPECT_FALSE(cgroup_evidence(folder.path(), CgroupVersion::kV1).oom_kills.has_value());
}

TEST(Caps, AFolderThatTheKernelDoesNotFillIsNoCap) {
  const MadeRoot root;
  root.mount_v1("/box");
  root.write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "9223372036854771712\n");
  const CapChoice choice = choose_cap(root.path());  // ordinary folders
  EXPECT_EQ(choice.best.kind, CapKind::kRlimit);
  ASSERT_EQ(choice.notes.size(), 3U);
  EXPECT_THAT(choice.notes[2], HasSubstr("memory.limit_in_bytes cannot be set"));
  for (const auto& entry : fs::directory_iterator(root.path() / "sys/fs/cgroup/memory/box")) {
    EXPECT_FALSE(entry.is_directory()) << entry.path();
  }
}

TEST(Caps, NoLevelThatHandsMemoryDownIsSaid) {
  const MadeRoot root;
  root.mount_v2("/user.slice/session.scope");
  root.write("sys/fs/cgroup/cgroup.subtree_control", "cpu pids\n");
  const CapChoice choice = choose_cap(root.path(), MadeFolders(CgroupVersion::kV2));
  EXPECT_EQ(choice.best.kind, CapKind::kRlimit);
  EXPECT_THAT(choice.notes[0], HasSubstr("does not hand the memory controller down"));
  EXPECT_THAT(choice.notes[2], HasSubstr("the memory controller is v2's here"));
}

TEST(Caps, GroupsOfEndedProcessesAreRemovedAndOthersLeft) {
  const MadeRoot root;
  root.mount_v1("/");
  fs::create_directories(root.path() / "proc/self/ns");
  fs::create_symlink("pid:[77]", root.path() / "proc/self/ns/pid");
  const fs::path top = root.path() / "sys/fs/cgroup/memory";
  // 4194304 is above the kernel's largest process number.
  for (const char* name : {"loadline-77-4194304-trial-1", "loadline-99-4194304-trial-1",
                           "loadline-77-1-5-trial-1", "other-77-4194304"}) {
    fs::create_directories(top / name);
  }
  remove_stale_groups(top, root.path(), MadeFolders(CgroupVersion::kV1));
  EXPECT_FALSE(fs::exists(top / "loadline-77-4194304-trial-1"));
  EXPECT_TRUE(fs::exists(top / "loadline-99-4194304-trial-1")) << "another container's";
  EXPECT_TRUE(fs::exists(top / "loadline-77-1-5-trial-1")) << "its process lives";
  EXPECT_TRUE(fs::exists(top / "other-77-4194304"));
}

// A number is given again; the time at which its process began is not.
TEST(Caps, AGroupWhoseNumberIsAnotherProcesssNowIsRemoved) {
  const MadeRoot root;
  root.mount_v1("/");
  const fs::path top = root.path() / "sys/fs/cgroup/memory";
  const std::string ours = group_name("trial-1", root.path());
  const std::string number = "loadline-0-" + std::to_string(::getpid()) + "-";
  ASSERT_TRUE(ours.starts_with(number)) << ours;
  fs::create_directories(top / ours);
  fs::create_directories(top / (number + "1-trial-1"));
  remove_stale_groups(top, root.path(), MadeFolders(CgroupVersion::kV1));
  EXPECT_TRUE(fs::exists(top / ours)) << "this process's";
  EXPECT_FALSE(fs::exists(top / (number + "1-trial-1"))) << "of one that began at tick 1";
}

TEST(Caps, TheRealChoiceHoldsAndIsRemoved) {
  const CapChoice choice = choose_cap();
  if (choice.best.kind == CapKind::kRlimit) {
    GTEST_SKIP() << "no group with a limit can be made here: " << choice.notes.at(0);
  }
  fs::path folder;
  {
    const auto cap = make_cap(choice.best.kind, 64_MiB, "unit");
    folder = cap->folder();
    EXPECT_TRUE(fs::is_directory(folder));
    EXPECT_EQ(cap->evidence().oom_kills, 0U);
  }
  EXPECT_FALSE(fs::exists(folder));
}

TEST(Caps, ASystemdScopeNeedsCgroupV2) {
  const MadeRoot root;
  root.mount_v1("/");
  try {
    make_cap(CapKind::kSystemdScope, 64_MiB, "x", root.path());
    FAIL() << "a scope was promised";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
    EXPECT_THAT(error.what(), HasSubstr("cgroup v2"));
  }
}

}  // namespace
}  // namespace loadline
