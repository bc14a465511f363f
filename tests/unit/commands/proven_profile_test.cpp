#include "commands/proven_profile.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "unit/training/packed_fixture.h"

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

TEST(ProfileOf, AModelOfTheHubHasTheNameThatTrainsItAnywhere) {
  const TemporaryFolder folder;
  const fs::path packed = write_packed(folder.path() / "rows", rows_of_lengths({40}));
  const PackedRows rows(packed);
  Workload workload;
  workload.model_folder = LOADLINE_SOURCE_DIR "/demo/model";
  workload.model = read_config(workload.model_folder);
  workload.train = {"train.jsonl", packed, report_of(rows), rows};
  workload.base.generated_weights = true;
  workload.base.lora.targets = {Projection::kQ};
  RunTrial trial;
  trial.configuration = {.batch_size = 1, .lora_rank = 2, .lora_layers = 1};
  trial.outcome.verdict = Verdict::kFits;
  trial.outcome.peak = MeasuredBytes{20_MiB};
  const auto profile = [&] {
    return profile_of(trial, {trial}, workload, MachineFacts{}, {.budget = 1_GiB}, folder.path());
  };
  const Profile local = profile();
  EXPECT_EQ(local.model_path, LOADLINE_SOURCE_DIR "/demo/model");
  workload.hub_model = HubModel{.repository = "org/name", .revision = "v1.0"};
  EXPECT_EQ(profile().model_path, "org/name@v1.0");
  EXPECT_TRUE(differences_of(local.key, profile().key).empty()) << "the same weights";
}

}  // namespace
}  // namespace loadline
