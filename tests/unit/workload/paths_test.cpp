#include "workload/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "unit/environment.h"

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

class Places : public ::testing::Test {
 protected:
  Places() {
    for (const char* name : {"HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"}) {
      environment_.unset(name);
    }
  }
  static std::string refusal() {
    try {
      return runs_folder().string();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);
      return error.what();
    }
  }

  Environment environment_;
};

TEST_F(Places, AllVariablesThatAreMissingAreNamedAtOnce) {
  EXPECT_THAT(refusal(),
              ::testing::HasSubstr("runs. Set HOME, or with absolute paths what is missing "
                                   "in its place: XDG_CACHE_HOME (caches), "
                                   "XDG_STATE_HOME (runs), XDG_DATA_HOME (profiles)"));
  environment_.set("XDG_CACHE_HOME", "/c");
  EXPECT_THAT(refusal(), ::testing::EndsWith(": XDG_STATE_HOME (runs), XDG_DATA_HOME (profiles)"));
  environment_.set("HOME", "/h");
  EXPECT_EQ(refusal(), "/h/.local/state/loadline/runs");
}

}  // namespace
}  // namespace loadline
