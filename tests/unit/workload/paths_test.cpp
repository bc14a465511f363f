#include "workload/paths.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>

namespace loadline {
namespace {

// The two ends of a new terminal.
struct Terminal {
  explicit Terminal(const winsize* size = nullptr) {
    opened = ::openpty(&controller, &end, nullptr, nullptr, size) == 0;
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() { ::close(controller); }
  int controller = -1;
  int end = -1;  // closed by who takes it
  bool opened = false;
};

TEST(Draws, OnATerminalThatObeysEscapeSequencesAndNowhereElse) {
  const Terminal terminal;
  if (!terminal.opened) GTEST_SKIP() << "no terminal can be opened here: is /dev/pts mounted?";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(terminal.end, "w"),
                                                            std::fclose);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ::setenv("TERM", "xterm", 1);
  EXPECT_TRUE(draws(out.get()));
  EXPECT_FALSE(draws(file.get()));
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(draws(out.get()));
}

TEST(Columns, AreThoseOfCOLUMNSElseOfTheTerminalElseEighty) {
  const winsize size{.ws_row = 20, .ws_col = 57, .ws_xpixel = 0, .ws_ypixel = 0};
  const Terminal terminal(&size);
  if (!terminal.opened) GTEST_SKIP() << "no terminal can be opened here: is /dev/pts mounted?";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(terminal.end, "w"),
                                                            std::fclose);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ::unsetenv("COLUMNS");
  EXPECT_EQ(columns_of(out.get()), 57);
  EXPECT_EQ(columns_of(file.get()), 80);
  ::setenv("COLUMNS", "44", 1);
  EXPECT_EQ(columns_of(out.get()), 44);
  ::setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(columns_of(out.get()), 57);
  ::unsetenv("COLUMNS");
}

}  // namespace
}  // namespace loadline
