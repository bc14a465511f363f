#include "workload/paths.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>

namespace loadline {
namespace {

TEST(Draws, OnATerminalThatObeysEscapeSequencesAndNowhereElse) {
  int controller = -1;
  int terminal = -1;
  ASSERT_EQ(::openpty(&controller, &terminal, nullptr, nullptr, nullptr), 0);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(terminal, "w"), std::fclose);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ::setenv("TERM", "xterm", 1);
  EXPECT_TRUE(draws(out.get()));
  EXPECT_FALSE(draws(file.get()));
  ::setenv("TERM", "dumb", 1);
  EXPECT_FALSE(draws(out.get()));
  ::close(controller);
}

TEST(Columns, AreThoseOfCOLUMNSElseOfTheTerminalElseEighty) {
  int controller = -1;
  int terminal = -1;
  const winsize size{.ws_row = 20, .ws_col = 57, .ws_xpixel = 0, .ws_ypixel = 0};
  ASSERT_EQ(::openpty(&controller, &terminal, nullptr, nullptr, &size), 0);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(::fdopen(terminal, "w"), std::fclose);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  ::unsetenv("COLUMNS");
  EXPECT_EQ(columns_of(out.get()), 57);
  EXPECT_EQ(columns_of(file.get()), 80);
  ::setenv("COLUMNS", "44", 1);
  EXPECT_EQ(columns_of(out.get()), 44);
  ::setenv("COLUMNS", "wide", 1);
  EXPECT_EQ(columns_of(out.get()), 57);
  ::unsetenv("COLUMNS");
  ::close(controller);
}

}  // namespace
}  // namespace loadline
