// loadline profile.
#include "report/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "commands/command.h"
#include "unit/environment.h"
#include "workload/paths.h"

namespace loadline {
namespace {

using testing::HasSubstr;

class ProfileCommand : public ::testing::Test {
 protected:
  ProfileCommand() {
    environment_.set("XDG_DATA_HOME", folder_.path().string());
    for (const char* name : {"a", "b", "c"}) {
      Profile profile;
      profile.name = name;
      profile.batch_size = profile.lora_rank = profile.lora_layers = 1;
      save_profile(profile_folder(), profile);
    }
  }
  // What is printed; of an error what it says.
  static std::string run(const std::vector<std::string>& words) {
    CLI::App app;
    const CommandFunction command = add_profile(Flags(app));
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
    ::testing::internal::CaptureStdout();
    try {
      static_cast<void>(command());
    } catch (const Error& error) {
      return ::testing::internal::GetCapturedStdout() + error.what();
    }
    return ::testing::internal::GetCapturedStdout();
  }
  static std::vector<std::string> names() {
    std::vector<std::string> warnings, names;
    for (const Profile& profile : list_profiles(profile_folder(), warnings)) {
      names.push_back(profile.name);
    }
    return names;
  }

  TemporaryFolder folder_;
  Environment environment_;
};

TEST_F(ProfileCommand, RemovesSeveralAtOnce) {
  EXPECT_EQ(run({"remove", "a", "c", "a"}), "Removed a\nRemoved c\n");
  EXPECT_THAT(names(), testing::ElementsAre("b"));
}

TEST_F(ProfileCommand, RemovesNoneWhereOneOfThemIsNone) {
  EXPECT_THAT(run({"remove", "a", "d", "c"}), HasSubstr("there is no profile 'd'"));
  EXPECT_THAT(names(), testing::UnorderedElementsAre("a", "b", "c"));
}

}  // namespace
}  // namespace loadline
