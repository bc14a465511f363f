#include "commands/train_adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/adapter.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// An adapter of rank 2 on the demo model's last layer.
class TrainAdapterTest : public testing::Test {
 protected:
  TrainAdapterTest() {
    workload_.model = read_config(LOADLINE_SOURCE_DIR "/demo/model");
    const ProjectionShape shape = shape_of(workload_.model, Projection::kQ);
    Adapter adapter;
    adapter.lora = {.rank = 2, .alpha = 5, .layers = 1, .targets = {Projection::kQ}};
    adapter.pairs.push_back({.layer = workload_.model.layers - 1,
                             .projection = Projection::kQ,
                             .a = std::vector<float>(static_cast<std::size_t>(2 * shape.in), 1.0F),
                             .b = std::vector<float>(static_cast<std::size_t>(2 * shape.out))});
    write_adapter(folder_.path() / "a", adapter);
    options_.resume_adapter = (folder_.path() / "a").string();
  }

  TemporaryFolder folder_;
  Workload workload_;
  TrainOptions options_;
};

TEST_F(TrainAdapterTest, AProfileOfTheRunNamesTheAdapterThatItStartedFrom) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  options_.resume_adapter = "a";
  workload_.train_flags = {"--seed", "7"};
  take_adapter(workload_, options_);
  fs::current_path(before);
  EXPECT_THAT(workload_.train_flags,
              testing::ElementsAre("--seed", "7", "--resume-adapter-file",
                                   fs::canonical(folder_.path() / "a").string()));
  EXPECT_EQ(workload_.with(1, 2, 1).lora.alpha, 5);
}

TEST_F(TrainAdapterTest, AFlagThatSaysOtherwiseIsRefusedWithBothValues) {
  options_.workload.lora_alpha = 4;
  try {
    take_adapter(workload_, options_);
    ADD_FAILURE() << "nothing was said";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("--lora-alpha 4"), HasSubstr("has 5")));
  }
}

}  // namespace
}  // namespace loadline
