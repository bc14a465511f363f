#include "base/new_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/file.h"

namespace {

std::function<void()> before_the_next_lock;

}  // namespace

// Before the C library's: what another process does just before this one has its lock. By its
// symbol, as there is a struct of that name.
extern "C" int lock_later(int fd, int operation) noexcept __asm__("flock");
extern "C" int lock_later(int fd, int operation) noexcept {
  if (const auto first = std::exchange(before_the_next_lock, {})) first();
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

namespace loadline {
namespace {

namespace fs = std::filesystem;

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(NewFolder, IsThereWholeAfterTheCommitOnly) {
  const TemporaryFolder home;
  const fs::path place = home.path() / "deep" / "model/";
  {
    NewFolder folder(place);
    replace_file(folder.path() / "a", "1");
    EXPECT_FALSE(fs::exists(place));
    folder.commit();
  }
  EXPECT_EQ(read_file(place / "a", 1_KiB), "1");
  EXPECT_EQ(entries(home.path() / "deep"), 1);
}

TEST(NewFolder, IsReadableByThoseWhomTheUmaskLets) {
  const TemporaryFolder home;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::umask(027);
    NewFolder(home.path() / "model").commit();
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
  const fs::perms given = fs::status(home.path() / "model").permissions();
  EXPECT_EQ(given, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec);
}

TEST(NewFolder, LeavesNothingWithoutACommit) {
  const TemporaryFolder home;
  {
    const NewFolder folder(home.path() / "model");
    replace_file(folder.path() / "a", "1");
  }
  EXPECT_EQ(entries(home.path()), 0);
}

TEST(NewFolder, RemovesWhatAKilledProcessLeftOfThisVeryPlaceAndNothingElse) {
  const TemporaryFolder home;
  const auto put = [&](const fs::path& file) {
    make_folder((home.path() / file).parent_path());
    replace_file(home.path() / file, "");
  };
  put("model.a1B2c3/.loadline-partial");
  put("model.backup/config.json");
  put("other.a1B2c3/.loadline-partial");
  put("model.longer-name/.loadline-partial");
  const NewFolder alive(home.path() / "model");
  NewFolder(home.path() / "model").commit();
  EXPECT_FALSE(fs::exists(home.path() / "model.a1B2c3"));
  for (const char* kept : {"model.backup", "other.a1B2c3", "model.longer-name"}) {
    EXPECT_TRUE(fs::exists(home.path() / kept)) << kept;
  }
  EXPECT_TRUE(fs::exists(alive.path()));
  EXPECT_TRUE(fs::is_empty(home.path() / "model")) << "without the mark";
}

TEST(NewFolder, IsNoOrphanBeforeItIsLocked) {
  const TemporaryFolder home;
  before_the_next_lock = [&] { NewFolder(home.path() / "model"); };
  NewFolder folder(home.path() / "model");
  EXPECT_TRUE(fs::exists(folder.path()));
  folder.commit();
  EXPECT_TRUE(fs::is_empty(home.path() / "model"));
}

TEST(NewFolder, TakesThePlaceOfAnEmptyFolderAndOfNothingElse) {
  const TemporaryFolder home;
  const fs::path place = home.path() / "model";
  fs::create_directory(place);
  NewFolder(place).commit();
  NewFolder again(place);
  replace_file(place / "a", "1");  // came in between
  EXPECT_THROW(again.commit(), Error);
  EXPECT_TRUE(fs::exists(again.path() / ".loadline-partial")) << "or nobody would remove it";
  EXPECT_THROW(NewFolder{place}, Error);
  EXPECT_THROW(NewFolder{place / "a"}, Error);
  fs::create_symlink("nowhere", home.path() / "link");
  EXPECT_THROW(NewFolder{home.path() / "link"}, Error);
}

}  // namespace
}  // namespace loadline
