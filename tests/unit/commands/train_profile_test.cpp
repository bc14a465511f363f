#include "commands/train_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "unit/training/packed_fixture.h"

namespace loadline {
namespace {

// Rows of 40 and 200 tokens on the demo's model.
class TrainProfileTest : public testing::Test {
 protected:
  TrainProfileTest() {
    packed_ = write_packed(folder_.path() / "rows", rows_of_lengths({40, 200, 200}));
    workload_.model_folder = LOADLINE_SOURCE_DIR "/demo/model";
    workload_.model = read_config(workload_.model_folder);
    workload_.base.lora.targets = {Projection::kQ};
  }
  // As the command has it that cuts rows to so many tokens.
  const Workload& cut_to(std::int64_t tokens) {
    const PackedRows rows = PackedRows(packed_).within(tokens);
    workload_.train = {"train.jsonl", packed_, report_of(rows), rows};
    workload_.base.max_seq_length = tokens;
    return workload_;
  }
  Profile proven_at(std::int64_t tokens, const std::string& name) {
    Profile profile;
    profile.name = name;
    profile.created = "2026-11-23T15:04:05Z";
    profile.key = cut_to(tokens).profile_key(machine_, workload_.base);
    profile.batch_size = 10;
    profile.lora_rank = 96;
    profile.lora_layers = 6;
    return profile;
  }
  ProfileMatch taken(const std::vector<Profile>& profiles, std::int64_t tokens,
                     const GivenFlags& given = {}) {
    return matching_profile(profiles, given, cut_to(tokens), machine_);
  }

  TemporaryFolder folder_;
  std::filesystem::path packed_;
  MachineFacts machine_;
  Workload workload_;
};

TEST_F(TrainProfileTest, WhatWasProvenOnLongerRowsIsTakenForShorterOnesToo) {
  const Profile proven = proven_at(128, "proven");
  ASSERT_TRUE(taken({proven}, 128).profile);
  const ProfileMatch match = taken({proven}, 64);
  ASSERT_TRUE(match.profile);
  EXPECT_EQ(match.profile->name, "proven");
  EXPECT_TRUE(taken({proven}, 64, {.batch_size = 10, .lora_rank = 96, .lora_layers = -1}).profile);
  EXPECT_FALSE(taken({proven}, 64, {.batch_size = 11, .lora_rank = 96, .lora_layers = 6}).profile);
}

TEST_F(TrainProfileTest, WhatWasProvenOnShorterRowsOrOnOthersIsNot) {
  Profile proven = proven_at(64, "proven");
  EXPECT_FALSE(taken({proven}, 128).profile);
  proven = proven_at(128, "proven");
  proven.key.data = "of other rows";
  const ProfileMatch match = taken({proven}, 64);
  EXPECT_FALSE(match.profile);
  EXPECT_THAT(match.differences, testing::Not(testing::IsEmpty()));
}

TEST_F(TrainProfileTest, TheOneThatWasProvenOnTheseRowsGoesFirstThenTheOneOnTheNextLonger) {
  const Profile longest = proven_at(256, "longest"), longer = proven_at(128, "longer");
  const Profile same = proven_at(64, "same");
  EXPECT_EQ(taken({longest, longer, same}, 64).profile->name, "same");
  const ProfileMatch match = taken({longest, longer}, 64);
  ASSERT_EQ(match.matching.size(), 2U);
  EXPECT_EQ(match.profile->name, "longer");
}

}  // namespace
}  // namespace loadline
