#include "commands/proven_profile.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

Profile proven_by(int trial, const fs::path& run) {
  Profile profile;
  profile.batch_size = profile.lora_rank = profile.lora_layers = 1;
  profile.run_folder = run.string();
  profile.trial = trial;
  return profile;
}

TEST(ProfileOfSameTrial, IsKnownByTheRunAndTheTrialWhateverItsFlagsAre) {
  const TemporaryFolder folder;
  Profile saved = proven_by(3, folder.path() / "run");
  saved.name = "mine";
  saved.train_flags = {"--seed", "7"};
  save_profile(folder.path(), saved);
  const auto found = profile_of_same_trial(folder.path(), proven_by(3, folder.path() / "run/."));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "mine");
  EXPECT_EQ(found->train_flags, saved.train_flags);
  EXPECT_FALSE(profile_of_same_trial(folder.path(), proven_by(4, folder.path() / "run")));
  EXPECT_FALSE(profile_of_same_trial(folder.path(), proven_by(3, folder.path() / "other")));
}

}  // namespace
}  // namespace loadline
