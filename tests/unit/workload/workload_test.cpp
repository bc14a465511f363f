#include "workload/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "unit/environment.h"

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

TEST_F(PreparedWorkload, OfAHubModelKeepsTheNameThatWasTyped) {
  const fs::path hub = folder_.path() / "hub";
  const std::string commit(40, 'a');
  const fs::path snapshot = hub / "models--org--smol/snapshots" / commit;
  fs::create_directories(snapshot.parent_path());
  fs::copy(options_.model, snapshot);
  environment_.set("HF_HUB_CACHE", hub.string());
  environment_.set("HF_HUB_OFFLINE", "1");
  for (const char* revision : {"main", "v1.0"}) {
    make_folder(hub / "models--org--smol/refs");
    replace_file(hub / "models--org--smol/refs" / revision, commit);
  }
  const auto prepared = [&](const std::string& model) {
    options_.model = model;
    return prepare_workload(options_, MachineFacts{}, stderr);
  };
  const Workload latest = prepared("org/smol"), tagged = prepared("org/smol@v1.0");
  EXPECT_EQ(latest.model_folder, snapshot);
  EXPECT_EQ(latest.model_text(), "org/smol");
  EXPECT_EQ(latest.base.model, snapshot);
  EXPECT_EQ(latest.base.base_model, "org/smol");
  EXPECT_EQ(latest.base.base_revision, "");
  EXPECT_EQ(tagged.model_text(), "org/smol@v1.0");
  EXPECT_EQ(tagged.base.base_model, "org/smol");
  EXPECT_EQ(tagged.base.base_revision, "v1.0");
  EXPECT_EQ(latest.model_document()["name"], "org/smol");
  EXPECT_EQ(latest.model_document()["path"], snapshot.string());
  const Workload local = prepared(snapshot.string() + "/");
  EXPECT_EQ(local.model_text(), snapshot.string());
  EXPECT_EQ(local.base.base_model, "");
  EXPECT_EQ(local.profile_key(MachineFacts{}, local.base).model,
            latest.profile_key(MachineFacts{}, latest.base).model)
      << "a profile is known by the weights, however they were named";
}

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

TEST_F(PreparedWorkload, TellsWhereItsRowsLieToWhoeverReadsItElsewhere) {
  const std::string typed = options_.data;
  const fs::path before = fs::current_path();
  fs::current_path(folder_.path());
  options_.data = "rows.jsonl";
  const Json document = prepare_workload(options_, MachineFacts{}, stderr).data_document();
  fs::current_path(before);
  EXPECT_EQ(document["path"], typed);
}

}  // namespace
}  // namespace loadline
