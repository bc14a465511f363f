#include "commands/paths.h"

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

}  // namespace
}  // namespace loadline
