#include "workload/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace loadline {
namespace {

TEST(Workload, ItsProfileKeySaysWhetherThereIsDropoutAndNotHowMuch) {
  Workload workload;
  workload.model_folder = LOADLINE_SOURCE_DIR "/demo/model";
  const auto key = [&](double dropout) {
    TrainingSettings settings;
    settings.lora.dropout = dropout;
    return workload.profile_key(MachineFacts{}, settings);
  };
  EXPECT_THAT(differences_of(key(0), key(0.1)),
              ::testing::ElementsAre("lora_dropout: profile off, now on"));
  EXPECT_THAT(differences_of(key(0.1), key(0.5)), ::testing::IsEmpty());
}

}  // namespace
}  // namespace loadline
