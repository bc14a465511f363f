#include "workload/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/file.h"
#include "unit/workload/environment.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

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

// The demo's model and rows of which one has its only target behind the sixth token.
class PreparedWorkload : public ::testing::Test {
 protected:
  PreparedWorkload() {
    environment_.set("XDG_CACHE_HOME", (folder_.path() / "cache").string());
    options_.model = LOADLINE_SOURCE_DIR "/demo/model";
    options_.data = (folder_.path() / "rows.jsonl").string();
    replace_file(options_.data,
                 "{\"input_ids\":[1,2,3,4,5,6,7],\"labels\":[-100,-100,-100,-100,-100,-100,7]}\n"
                 "{\"input_ids\":[1,2,3]}\n");
  }

  Environment environment_;
  TemporaryFolder folder_;
  WorkloadOptions options_;
};

TEST_F(PreparedWorkload, IsMadeReadyThoughNobodyCanBeToldOfRowsThatAreLeftOut) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> full(std::fopen("/dev/full", "w"),
                                                             std::fclose);
  ASSERT_TRUE(full);
  std::setvbuf(full.get(), nullptr, _IONBF, 0);
  options_.max_seq_length = "4";
  Workload workload;
  ASSERT_NO_THROW(workload = prepare_workload(options_, MachineFacts{}, full.get()));
  EXPECT_EQ(workload.train->report.cut_away, 1);
  EXPECT_EQ(workload.train->report.rows, 1);
}

}  // namespace
}  // namespace loadline
