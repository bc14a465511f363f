#include "base/address_space.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

// A page for code that is generated at run time.
class CodePage {
 public:
  CodePage()
      : page_(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  CodePage(const CodePage&) = delete;
  CodePage& operator=(const CodePage&) = delete;
  ~CodePage() { ::munmap(page_, kSize); }

  // The kernel tells whether a page may be written without a fault of ours.
  [[nodiscard]] bool is_writable() const {
    const FileDescriptor zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    return ::read(zeros.get(), static_cast<char*>(page_) + kSize - 1, 1) == 1;
  }
#if defined(__x86_64__)
  void write_return_42() {
    const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};  // mov eax, 42; ret
    std::memcpy(page_, code, sizeof code);
  }
  [[nodiscard]] int call() const { return reinterpret_cast<int (*)()>(page_)(); }
#endif

 private:
  static constexpr std::size_t kSize = 4096;
  void* page_;
};

TEST(AddressSpace, RoomThatTheKernelDoesNotGiveIsRefusedByName) {
  try {
    require_room({std::uint64_t{1} << 60}, "a whale");
    FAIL() << "the kernel mapped 2^60 bytes";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
    EXPECT_THAT(error.what(), testing::HasSubstr("for a whale"));
  }
  EXPECT_NO_THROW(require_room(1_MiB, "a shrimp"));
  EXPECT_NO_THROW(require_room(0_B, "nothing"));
}

TEST(AddressSpace, ALimitOnAddressesIsNamedWhereRoomIsRefused) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  if (before.rlim_cur != RLIM_INFINITY) GTEST_SKIP() << "there is such a limit already";
  EXPECT_EQ(words_of_address_limit(), "");
  const rlimit limited{std::uint64_t{1} << 50, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limited), 0);
  std::string refusal;
  try {
    require_room({std::uint64_t{1} << 60}, "a whale");
  } catch (const Error& error) {
    refusal = error.what();
  }
  ::setrlimit(RLIMIT_AS, &before);
  EXPECT_THAT(refusal, testing::HasSubstr("`ulimit -v` (RLIMIT_AS) is " +
                                          to_string({std::uint64_t{1} << 50})));
}

TEST(AddressSpace, GeneratedCodeThatIsFinishedCannotBeWrittenAndOlderCodeCan) {
  CodePage older;
  const GeneratedCode generated;
  CodePage newer;
#if defined(__x86_64__)
  newer.write_return_42();
#endif
  generated.seal();
  EXPECT_FALSE(newer.is_writable());
  EXPECT_TRUE(older.is_writable());
#if defined(__x86_64__)
  EXPECT_EQ(newer.call(), 42);
#endif
}

// The kernel shows neighbours with the same rights as one range.
TEST(AddressSpace, OnlyTheNewPartOfAJoinedRangeIsSealed) {
  constexpr std::size_t kPage = 4096;
  void* room = ::mmap(nullptr, 3 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(room, MAP_FAILED);
  char* pages = static_cast<char*>(room);
  const int all = PROT_READ | PROT_WRITE | PROT_EXEC;
  ::mprotect(pages + kPage, kPage, all);
  const GeneratedCode generated;
  ::mprotect(pages, 3 * kPage, all);
  generated.seal();
  const FileDescriptor zeros(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(::read(zeros.get(), pages, 1), -1);
  EXPECT_EQ(::read(zeros.get(), pages + kPage, 1), 1);
  EXPECT_EQ(::read(zeros.get(), pages + 2 * kPage, 1), -1);
  ::munmap(room, 3 * kPage);
}

}  // namespace
}  // namespace loadline
