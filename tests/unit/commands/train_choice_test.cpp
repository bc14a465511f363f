#include "commands/train_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace loadline {
namespace {

TEST(TrainChoice, WhereTheTableIsTakenTheNearestProfileIsNamedWithWhatDiffers) {
  ProfileMatch match;
  match.nearest.emplace().name = "mine";
  match.differences = {"machine: profile A, now B", "compute: profile f32, now bf16"};
  ModelConfig model;
  model.layers = 6;
  EXPECT_THAT(choose_configuration({}, match, true, model).notes,
              testing::ElementsAre(
                  "No saved profile matches. The nearest, mine, differs: machine: profile A, now "
                  "B; compute: profile f32, now bf16.",
                  testing::HasSubstr("was not tested on this machine")));
}

TEST(TrainChoice, WhereSeveralProfilesMatchTheOneThatIsTakenIsNamedWithTheWayToAnother) {
  Profile profile;
  profile.name = "big";
  profile.created = "2026-11-01T00:00:00Z";
  profile.batch_size = 17;
  profile.lora_rank = 128;
  profile.lora_layers = 16;
  ProfileMatch match;
  match.matching = {profile, profile};
  match.profile = profile;
  EXPECT_THAT(choose_configuration({}, match, false, ModelConfig{}).notes,
              testing::ElementsAre(
                  "2 profiles match; taken: big (batch 17, rank 128, layers 16, found "
                  "2026-11-01T00:00:00Z). `--profile NAME` takes another; `loadline profile list` "
                  "names them."));
  match.matching.pop_back();
  EXPECT_THAT(choose_configuration({}, match, false, ModelConfig{}).notes, testing::IsEmpty());
}

TEST(TrainChoice, TheRefusalNamesTheFlagsThatTheNearestProfileWants) {
  ProfileMatch match;
  match.nearest.emplace().name = "mine";
  match.differences = {"max_seq_length: profile 128, now 512"};
  match.flags = "--max-seq-length 128";
  try {
    choose_configuration({}, match, false, ModelConfig{});
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("Add --max-seq-length 128 to the same command to train with "
                                   "profile mine."));
  }
}

TEST(TrainChoice, AFlagThatIsTypedAlreadyIsNotAddedButReplaced) {
  ProfileMatch match;
  match.nearest.emplace().name = "mine";
  match.flags = "--max-seq-length 128";
  try {
    choose_configuration({}, match, false, ModelConfig{}, {"--demo", "--max-seq-length", "512"});
    ADD_FAILURE() << "taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("Replace what the command says by --max-seq-length 128 to train "
                                   "with profile mine."));
  }
}

TEST(TrainChoice, AllLayersAreShownAsTheNumberThatTheyAre) {
  ModelConfig model;
  model.layers = 6;
  const TrainChoice choice = choose_configuration(
      {.batch_size = 1, .lora_rank = 2, .lora_layers = -1}, ProfileMatch{}, false, model);
  EXPECT_EQ(choice.configuration.lora_layers, 6);
  EXPECT_EQ(choice.source,
            "batch 1 (--batch-size), rank 2 (--lora-rank), layers 6 (--lora-layers)");
}

}  // namespace
}  // namespace loadline
