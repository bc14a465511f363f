#include "commands/print_line.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "unit/environment.h"

namespace loadline {
namespace {

constexpr const char* kLine =
    "  Memory: 345.2 MiB (342.9 MiB to 347.6 MiB); with margin 397.0 MiB of 320.0 MiB: does not "
    "fit";

TEST(PrintLine, BreaksBetweenWordsOnATerminal) {
  Environment environment;
  environment.set("TERM", "xterm");
  environment.unset("COLUMNS");
  const winsize size{.ws_row = 20, .ws_col = 44, .ws_xpixel = 0, .ws_ypixel = 0};
  int controller = -1;
  int end = -1;
  if (::openpty(&controller, &end, nullptr, nullptr, &size) != 0) {
    GTEST_SKIP() << "no terminal can be opened here: is /dev/pts mounted?";
  }
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(end, "w"), std::fclose);
  print_line(kLine, out.get());
  (void)std::fflush(out.get());
  std::string text(1000, ' ');
  const ssize_t size_of_text = ::read(controller, text.data(), text.size());
  ASSERT_GT(size_of_text, 0);
  text.resize(static_cast<std::size_t>(size_of_text));
  EXPECT_EQ(text,
            "  Memory: 345.2 MiB (342.9 MiB to 347.6\r\n"
            "    MiB); with margin 397.0 MiB of 320.0\r\n"
            "    MiB: does not fit\r\n");
  ::close(controller);
}

TEST(PrintLine, LeavesALineWholeElsewhere) {
  ::testing::internal::CaptureStdout();
  print_line(kLine);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), std::string(kLine) + "\n");
}

}  // namespace
}  // namespace loadline
