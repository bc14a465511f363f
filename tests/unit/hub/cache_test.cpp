#include "hub/cache.h"

#include <future>
#include <iterator>
#include <string>
#include <vector>

#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kCommit(40, 'a');
const HubModel kModel{.repository = "org/name"};

TEST(HubName, IsOrgSlashNameWithARevision) {
  EXPECT_EQ(parse_hub_model("NousResearch/Hermes-2-Pro")->repository, "NousResearch/Hermes-2-Pro");
  EXPECT_EQ(parse_hub_model("a/b")->revision, "main");
  EXPECT_EQ(parse_hub_model("a/b@v1.0")->revision, "v1.0");
  EXPECT_EQ(parse_hub_model("a/b@refs/pr/3")->revision, "refs/pr/3");
  EXPECT_EQ(parse_hub_model("a/b@v1")->text(), "a/b@v1");
  EXPECT_EQ(parse_hub_model("a/b")->text(), "a/b");
}

TEST(HubName, IsNothingThatCouldBeAPathElsewhere) {
  for (const char* text : {"", "name", "a/b/c", "/a/b", "a/", "/b", "../x", "a/..", "a/.b", "a/b.",
                           "-a/b", "a/b--c", "a/b c", "a/b\n", "a\\b/c", "./a", "~/a"}) {
    EXPECT_FALSE(parse_hub_model(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_hub_model("a/" + std::string(97, 'b')).has_value());
  EXPECT_FALSE(parse_hub_model(std::string_view("a/b\0c", 5)).has_value());
}

TEST(HubName, ARevisionStaysBelowTheRefs) {
  for (const std::string revision :
       {"", "/x", "../x", "a/../../x", "x/", "a//b", ".x", "a b", "-x"}) {
    EXPECT_THAT(message_of(ErrorKind::kUsage, [&] { (void)parse_hub_model("a/b@" + revision); }),
                HasSubstr("revision"));
  }
}

class Cache : public ::testing::Test {
 protected:
  void put(const fs::path& file, const std::string& content) const {
    make_folder((folder_.path() / file).parent_path());
    replace_file(folder_.path() / file, content);
  }
  void put_snapshot(const std::string& file, const std::string& content = "{}") const {
    put(snapshot_ / file, content);
  }
  [[nodiscard]] MissingFiles missing(ModelParts parts = ModelParts::kAll) const {
    return cache_.missing(kModel, kCommit, parts);
  }

  TemporaryFolder folder_;
  HubCache cache_{folder_.path()};
  const fs::path model_ = "models--org--name";
  const fs::path snapshot_ = model_ / "snapshots" / kCommit;
};

TEST_F(Cache, ARefSaysWhichCommitABranchIs) {
  EXPECT_EQ(cache_.commit_of(kModel), std::nullopt);
  put(model_ / "refs/main", kCommit + "\n");
  EXPECT_EQ(cache_.commit_of(kModel), kCommit);
  EXPECT_EQ(cache_.commit_of({.repository = "org/name", .revision = "v1"}), std::nullopt);
  const std::string other(40, '7');
  EXPECT_EQ(cache_.commit_of({.repository = "org/name", .revision = other}), other);
}

TEST_F(Cache, RevisionsAreThoseWithASnapshotByTheirNamesWhereTheyHaveSome) {
  EXPECT_THAT(cache_.revisions(kModel), ::testing::IsEmpty());
  const std::string unnamed(40, '7');
  put_snapshot("config.json");
  put(model_ / "snapshots" / unnamed / "config.json", "{}");
  put(model_ / "refs/main", kCommit + "\n");
  put(model_ / "refs/refs/pr/3", kCommit);
  put(model_ / "refs/gone", std::string(40, '8'));
  put(model_ / "refs/damaged", "x");
  EXPECT_THAT(cache_.revisions({.repository = "org/name", .revision = "v2"}),
              ElementsAre("main", "refs/pr/3", unnamed));
}

TEST_F(Cache, ADamagedRefIsNamed) {
  for (const std::string& content :
       std::vector<std::string>{"", "../../../x", "main", kCommit + kCommit}) {
    put(model_ / "refs/main", content);
    EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { (void)cache_.commit_of(kModel); }),
                HasSubstr("refs/main: should hold a commit"));
  }
}

TEST_F(Cache, WhatIsMissingIsNamed) {
  EXPECT_THAT(missing().needed, ElementsAre("config.json", "model.safetensors"));
  EXPECT_THAT(missing(ModelParts::kText).needed, ElementsAre("config.json"));
  EXPECT_THAT(missing().unknown,
              ElementsAre("tokenizer.json", "tokenizer_config.json", "chat_template.jinja",
                          "special_tokens_map.json", "generation_config.json"));
  put_snapshot("config.json");
  put_snapshot("tokenizer.json");
  put_snapshot("special_tokens_map.json");
  put_snapshot("generation_config.json");
  cache_.remember_absent(kModel, kCommit, "tokenizer_config.json");
  cache_.remember_absent(kModel, kCommit, "chat_template.jinja");
  EXPECT_TRUE(missing(ModelParts::kText).none());
  put_snapshot("model.safetensors");
  EXPECT_TRUE(missing().none());
}

TEST_F(Cache, FilesThatSayOnlyWhatTheTokenizersConfigSaysAreNotMissed) {
  for (const char* file : {"config.json", "tokenizer.json", "generation_config.json"}) {
    put_snapshot(file);
  }
  put_snapshot("tokenizer_config.json", R"({"eos_token":null})");
  EXPECT_THAT(missing(ModelParts::kText).unknown,
              ElementsAre("chat_template.jinja", "special_tokens_map.json"));
  put_snapshot("tokenizer_config.json", R"({"eos_token":"</s>","chat_template":"x"})");
  EXPECT_TRUE(missing(ModelParts::kText).none());
}

TEST_F(Cache, OnlyGeneratingNeedsItsConfigSoThatTheTextPartsDoWithout) {
  for (const char* file : {"config.json", "tokenizer.json", "model.safetensors"}) {
    put_snapshot(file);
  }
  put_snapshot("tokenizer_config.json", R"({"eos_token":"</s>","chat_template":"x"})");
  EXPECT_TRUE(missing(ModelParts::kText).none());
  EXPECT_THAT(missing().unknown, ElementsAre("generation_config.json"));
}

TEST_F(Cache, EachShardOfTheIndexIsNeeded) {
  put_snapshot("config.json");
  put_snapshot(
      "model.safetensors.index.json",
      R"({"weight_map":{"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-1.safetensors"}})");
  put_snapshot("m-1.safetensors");
  EXPECT_THAT(missing().needed, ElementsAre("m-2.safetensors"));
  put_snapshot("model.safetensors.index.json", R"({"weight_map":{"a":"../../x.safetensors"}})");
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { (void)missing(); }), HasSubstr("plain name"));
}

TEST_F(Cache, ASnapshotIsLinksToBlobs) {
  put(model_ / "blobs/e1", "one");
  put(model_ / "blobs/e2", "two");
  for (const char* etag : {"e1", "e1", "e2"}) cache_.link(kModel, kCommit, "config.json", etag);
  const fs::path link = folder_.path() / snapshot_ / "config.json";
  EXPECT_EQ(fs::read_symlink(link), "../../blobs/e2");
  EXPECT_EQ(read_file(link, 1_KiB), "two");
  fs::remove(folder_.path() / model_ / "blobs/e2");
  EXPECT_THAT(missing(ModelParts::kText).needed, ElementsAre("config.json"))
      << "a link whose blob is gone is no file";
}

TEST_F(Cache, SeveralMayMakeTheSameLinkAtOnce) {
  put(model_ / "blobs/e1", "one");
  const fs::path link = folder_.path() / snapshot_ / "config.json";
  const auto make_it_again_and_again = [&] {
    for (int round = 0; round < 500; ++round) {
      fs::remove(link);
      cache_.link(kModel, kCommit, "config.json", "e1");
    }
  };
  std::vector<std::future<void>> makers;
  for (int i = 0; i < 4; ++i) {
    makers.push_back(std::async(std::launch::async, make_it_again_and_again));
  }
  for (std::future<void>& maker : makers) EXPECT_NO_THROW(maker.get());
  EXPECT_EQ(std::distance(fs::directory_iterator(link.parent_path()), fs::directory_iterator()), 1);
}

TEST_F(Cache, ARefIsWrittenForABranchAndNotForACommit) {
  cache_.set_ref({.repository = "org/name", .revision = "refs/pr/1"}, kCommit);
  EXPECT_EQ(read_file(folder_.path() / model_ / "refs/refs/pr/1", 1_KiB), kCommit);
  cache_.set_ref({.repository = "org/name", .revision = kCommit}, kCommit);
  EXPECT_FALSE(fs::exists(folder_.path() / model_ / "refs" / kCommit));
}

}  // namespace
}  // namespace loadline
