#include "base/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "base/error.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename Function>
std::string message_of(ErrorKind kind, Function function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

class Files : public ::testing::Test {
 protected:
  [[nodiscard]] fs::path path(const char* name) const { return folder_.path() / name; }
  [[nodiscard]] std::vector<std::string> names() const { return names_in(folder_.path()); }
  TemporaryFolder folder_;
};

TEST(ReadFile, NamesAGitLfsPointerWithTheWayToTheContent) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "tokenizer.json";
  replace_file(path, "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 7\n");
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file(path, 1_MiB); }),
              AllOf(HasSubstr("tokenizer.json: is a Git LFS pointer"), HasSubstr("git lfs pull")));
}

TEST_F(Files, AReplacedFileHoldsTheNewContentAndNothingLiesBeside) {
  replace_file(path("a"), "old");
  replace_file(path("a"), std::string("new\0content", 11));
  EXPECT_EQ(read_file(path("a"), 1_KiB), std::string("new\0content", 11));
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
  struct stat status {};
  ASSERT_EQ(::stat(path("a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0644U);
}

TEST_F(Files, AFileThatMayNotBeReadIsTheEnvironmentsFault) {
  replace_file(path("a"), "secret");
  fs::permissions(path("a"), fs::perms::none);
  const uid_t self = ::geteuid();
  if (self == 0) {
    ASSERT_EQ(::seteuid(65534), 0);  // root may read all
  }
  const std::string message =
      message_of(ErrorKind::kEnvironment, [&] { read_file(path("a"), 1_KiB); });
  if (self == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_THAT(message, AllOf(HasSubstr(path("a").string()), HasSubstr("Permission denied")));
}

TEST_F(Files, WhatMayNotBeLookedAtIsNotCalledMissing) {
  fs::create_directory(path("closed"));
  EXPECT_FALSE(is_there(path("closed") / "a"));
  replace_file(path("file"), "");
  EXPECT_FALSE(is_there(path("file") / "a")) << "a file has nothing in it";
  const uid_t self = ::geteuid();
  fs::permissions(path("closed"), self == 0 ? fs::perms::owner_all : fs::perms::none);
  if (self == 0) {
    ASSERT_EQ(::seteuid(65534), 0);  // root may look at all
  }
  const std::string message =
      message_of(ErrorKind::kEnvironment, [&] { (void)is_there(path("closed") / "a"); });
  if (self == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  fs::permissions(path("closed"), fs::perms::owner_all);
  EXPECT_THAT(message, AllOf(HasSubstr("cannot be looked at"), HasSubstr("Permission denied")));
  fs::create_symlink("loop", path("loop"));
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { (void)is_there(path("loop")); }),
              HasSubstr("loop: cannot be looked at: "));
}

TEST_F(Files, AReplacementThatFailsLeavesTheTargetAndNothingElse) {
  fs::create_directory(path("folder"));
  replace_file(path("folder") / "inside", "x");
  // A folder with content cannot be renamed over, whoever tries.
  EXPECT_THAT(message_of(ErrorKind::kEnvironment, [&] { replace_file(path("folder"), "new"); }),
              HasSubstr(path("folder").string()));
  EXPECT_EQ(names(), std::vector<std::string>{"folder"});
  EXPECT_EQ(read_file(path("folder") / "inside", 1_KiB), "x");
}

TEST_F(Files, AReplacementInAMissingFolderNamesTheFile) {
  const fs::path missing = path("no") / "file";
  EXPECT_THAT(message_of(ErrorKind::kEnvironment, [&] { replace_file(missing, "x"); }),
              HasSubstr(missing.string()));
  EXPECT_TRUE(names().empty());
}

TEST_F(Files, AReplacementWithoutCommitLeavesTheOldFile) {
  replace_file(path("a"), "old");
  {
    ReplacementFile file(path("a"));
    file.write("half of the ne");
    EXPECT_EQ(names().size(), 2U);
  }
  EXPECT_EQ(read_file(path("a"), 1_KiB), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Files, PiecesAndAHeaderWrittenLastMakeOneFile) {
  ReplacementFile file(path("a"));
  file.write("????:");
  file.write("data");
  const std::string header = "head";
  file.write_at(0, std::as_bytes(std::span(header)));
  EXPECT_FALSE(fs::exists(path("a"))) << "not before commit";
  file.commit();
  EXPECT_EQ(read_file(path("a"), 1_KiB), "head:data");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(Files, ReadFileRefusesMoreThanItsLimitWithBothSizes) {
  replace_file(path("a"), std::string(2048, 'x'));
  EXPECT_EQ(read_file(path("a"), 2_KiB).size(), 2048U);
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file(path("a"), 1_KiB); }),
              AllOf(HasSubstr("2.0 KiB"), HasSubstr("1.0 KiB"), HasSubstr(path("a").string())));
}

TEST_F(Files, ReadFileRefusesWhatIsNoRegularFile) {
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file(path("none"), 1_KiB); }),
              HasSubstr("No such file"));
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file(folder_.path(), 1_KiB); }),
              HasSubstr("not a regular file"));
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file("/dev/zero", 1_KiB); }),
              HasSubstr("not a regular file"));
}

// Opening one to read waits for a writer: a trial would hang on a hostile model folder.
TEST_F(Files, APipeIsRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_file(path("pipe"), 1_KiB); }),
              HasSubstr("not a regular file"));
}

TEST_F(Files, ReadAtReadsExactlyOrSaysWhereTheFileEnds) {
  replace_file(path("a"), "0123456789");
  std::string into(4, '.');
  read_at(path("a"), 3, std::as_writable_bytes(std::span(into)));
  EXPECT_EQ(into, "3456");
  EXPECT_THAT(message_of(ErrorKind::kBadInput,
                         [&] { read_at(path("a"), 8, std::as_writable_bytes(std::span(into))); }),
              AllOf(HasSubstr("ends at byte 10"), HasSubstr("from byte 8")));
  message_of(ErrorKind::kBadInput,
             [&] { read_at(path("a"), UINT64_MAX, std::as_writable_bytes(std::span(into))); });
}

TEST_F(Files, AppendedLinesStandBelowEachOtherAcrossOpenings) {
  for (const auto durability :
       {AppendFile::Durability::kBuffered, AppendFile::Durability::kSynced}) {
    AppendFile file(path("log"), durability);
    file.append_line("one");
    file.append_line("");
  }
  EXPECT_EQ(read_file(path("log"), 1_KiB), "one\n\none\n\n");
  message_of(ErrorKind::kEnvironment,
             [&] { AppendFile(path("no") / "log", AppendFile::Durability::kBuffered); });
}

TEST_F(Files, ADiskThatIsFullIsAnErrorOfTheEnvironment) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  AppendFile file("/dev/full", AppendFile::Durability::kBuffered);
  EXPECT_THAT(message_of(ErrorKind::kEnvironment, [&] { file.append_line("x"); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space")));
}

TEST_F(Files, AMappedFileShowsItsBytesAndMovesWithoutCopies) {
  replace_file(path("a"), "content");
  MappedFile mapped(path("a"));
  ASSERT_EQ(mapped.bytes().size(), 7U);
  EXPECT_EQ(std::to_integer<char>(mapped.bytes()[0]), 'c');
  const std::byte* address = mapped.bytes().data();
  MappedFile moved(std::move(mapped));
  EXPECT_EQ(moved.bytes().data(), address);
  MappedFile assigned;
  assigned = std::move(moved);
  EXPECT_EQ(assigned.bytes().data(), address);
  EXPECT_EQ(assigned.path(), path("a"));
}

TEST_F(Files, AnEmptyFileMapsToNothing) {
  replace_file(path("empty"), "");
  EXPECT_TRUE(MappedFile(path("empty")).bytes().empty());
  message_of(ErrorKind::kBadInput, [&] { MappedFile mapped(folder_.path()); });
}

TEST_F(Files, AFolderIsMadeWithItsParentsOrNamed) {
  make_folder(path("a") / "b" / "c");
  EXPECT_TRUE(fs::is_directory(path("a") / "b" / "c"));
  EXPECT_NO_THROW(make_folder(path("a")));
  replace_file(path("file"), "x");
  const fs::path below = path("file") / "b";
  EXPECT_THAT(message_of(ErrorKind::kEnvironment, [&] { make_folder(below); }),
              HasSubstr(below.string()));
}

TEST_F(Files, AWritableFolderIsProbedWithoutATrace) {
  require_writable_folder(path("new"));
  EXPECT_TRUE(fs::is_empty(path("new")));
  EXPECT_THAT(message_of(ErrorKind::kEnvironment, [] { require_writable_folder("/proc"); }),
              HasSubstr("/proc"));
}

TEST(TemporaryFolders, DifferAndVanishWithTheirContent) {
  fs::path kept;
  {
    const TemporaryFolder folder;
    const TemporaryFolder other;
    EXPECT_NE(folder.path(), other.path());
    kept = folder.path();
    make_folder(kept / "sub");
    replace_file(kept / "sub" / "file", "x");
  }
  EXPECT_FALSE(fs::exists(kept));
}

TEST(FileDescriptors, CloseOnceAndMove) {
  FileDescriptor first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(first.is_open());
  const int number = first.get();
  FileDescriptor second(std::move(first));
  EXPECT_EQ(second.get(), number);
  FileDescriptor third;
  third = std::move(second);
  EXPECT_EQ(third.get(), number);
  third.close();
  EXPECT_FALSE(third.is_open());
  EXPECT_EQ(::fcntl(number, F_GETFD), -1) << "the descriptor is closed";
}

TEST_F(Files, AskingForTheUmaskOpensNoFileOfAnotherThreadToAll) {
  std::atomic<bool> done{false};
  std::thread asking([&] {
    while (!done) (void)as_umask_says(0666);
  });
  std::size_t open_to_all = 0;
  for (int i = 0; i < 20'000; ++i) {
    ::unlink(path("a").c_str());
    const FileDescriptor fd(::open(path("a").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
    struct stat status {};
    ::fstat(fd.get(), &status);
    open_to_all += (status.st_mode & 0022U) != 0;
  }
  done = true;
  asking.join();
  EXPECT_EQ(open_to_all, 0U);
}

TEST(ReplaceFile, WhoMayReadItIsAsTheUmaskSays) {
  const TemporaryFolder folder;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::umask(077);
    replace_file(folder.path() / "mine", "secret");
    ::_exit(0);
  }
  ::waitpid(pid, nullptr, 0);
  using fs::perms;
  const perms others = perms::group_all | perms::others_all;
  EXPECT_EQ(fs::status(folder.path() / "mine").permissions() & others, perms::none);
}

}  // namespace
}  // namespace loadline
