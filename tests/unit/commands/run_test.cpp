// loadline run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "commands/command.h"
#include "unit/environment.h"
#include "workload/paths.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RunCommand : public ::testing::Test {
 protected:
  RunCommand() {
    environment_.set("XDG_STATE_HOME", folder_.path().string());
    for (const char* name : {"a", "b", "c"}) {
      make_folder(runs_folder() / name);
      replace_file(runs_folder() / name / "run.json", "{}");
    }
  }
  // What is printed; of an error what it says.
  static std::string run(const std::vector<std::string>& words) {
    CLI::App app;
    const CommandFunction command = add_run(Flags(app));
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    ::testing::internal::CaptureStdout();
    try {
      static_cast<void>(command());
    } catch (const Error& error) {
      return ::testing::internal::GetCapturedStdout() + error.what();
    }
    return ::testing::internal::GetCapturedStdout();
  }
  static std::set<std::string> names() {
    std::set<std::string> names;
    for (const auto& run : fs::directory_iterator(runs_folder())) {
      names.insert(run.path().filename().string());
    }
    return names;
  }

  TemporaryFolder folder_;
  Environment environment_;
};

TEST_F(RunCommand, RemovesSeveralAtOnce) {
  EXPECT_EQ(run({"remove", "a", "c", "a"}), "Removed a\nRemoved c\n");
  EXPECT_THAT(names(), testing::ElementsAre("b"));
}

TEST_F(RunCommand, RemovesNoneWhereOneOfThemIsNone) {
  EXPECT_THAT(run({"remove", "a", "d", "c"}), HasSubstr("d: there is no run of that name"));
  fs::create_directory_symlink(runs_folder() / "b", runs_folder() / "link");
  EXPECT_THAT(run({"remove", "a", "link"}), HasSubstr("link: is a link"));
  EXPECT_THAT(names(), testing::ElementsAre("a", "b", "c", "link"));
}

}  // namespace
}  // namespace loadline
