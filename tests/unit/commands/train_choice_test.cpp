#include "commands/train_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
