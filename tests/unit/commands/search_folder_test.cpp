#include "commands/search_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "report/profile.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SearchFolder : public testing::Test {
 protected:
  [[nodiscard]] fs::path place(const std::string& name) const { return folder_.path() / name; }
  [[nodiscard]] fs::path profiles() const { return place("profiles"); }
  void write(const fs::path& file) const {
    make_folder(file.parent_path());
    replace_file(file, "x");
  }
  bool open(const fs::path& folder, bool restart = false) {
    Json context{{"question", {{"machine", "CPU, 2 cores"}}}};
    if (!memory_limit_.empty()) context["question"]["memory_limit"] = memory_limit_;
    return open_search_folder(folder, context, restart, profiles(),
                              [&](const std::string& line) { said_ += line; });
  }
  std::string refusal(const fs::path& folder) {
    try {
      open(folder);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  }
  // Of the search that --restart put beside `folder`.
  [[nodiscard]] fs::path kept_beside(const fs::path& folder) const {
    fs::path kept;
    for (const auto& entry : fs::directory_iterator(folder.parent_path())) {
      if (entry.path().string().starts_with(folder.string() + ".")) kept = entry.path();
    }
    return kept;
  }

  TemporaryFolder folder_;
  std::string memory_limit_;
  std::string said_;
};

TEST_F(SearchFolder, ARestartMovesTheSearchsOwnFilesAndNothingElse) {
  const fs::path run = place("proj");
  open(run);
  for (const char* own : {"journal.jsonl", "result.json", "trials/001/spec.json"}) write(run / own);
  for (const char* other : {"d.jsonl", "sub/mine"}) write(run / other);
  open(run, true);
  EXPECT_TRUE(fs::exists(run / "d.jsonl"));
  EXPECT_TRUE(fs::exists(run / "sub/mine"));
  EXPECT_TRUE(fs::exists(run / "run.json")) << "the new search's";
  EXPECT_FALSE(fs::exists(run / "trials"));
  const fs::path kept = kept_beside(run);
  for (const char* own : {"run.json", "journal.jsonl", "result.json", "trials/001/spec.json"}) {
    EXPECT_TRUE(fs::exists(kept / own)) << own;
  }
  EXPECT_FALSE(fs::exists(kept / "d.jsonl"));
  EXPECT_EQ(kept.filename().string().find(':'), std::string::npos) << kept;
  EXPECT_THAT(said_, HasSubstr(kept.string()));
}

TEST_F(SearchFolder, ASearchOfAnotherQuestionIsRefusedWithWhatDiffersAndTheWaysOut) {
  const fs::path run = place("proj");
  make_folder(run);
  replace_file(run / "run.json", R"({"question": {"machine": "CPU, 4 cores, 8 GiB"}})");
  EXPECT_EQ(refusal(run), run.string() +
                              ": holds a search of another question:\n"
                              "  machine: there CPU, 4 cores, now CPU, 2 cores\n"
                              "Give another --run-dir, or --restart, which keeps that search in a "
                              "folder beside this one.");
}

TEST_F(SearchFolder, ASearchIsRemovedWithItsFolderUnlessMoreLiesThere) {
  for (const bool more : {false, true}) {
    const fs::path folder = place(more ? "shared" : "own");
    open(folder);
    write(folder / "journal.jsonl");
    write(folder / "trials/001/spec.json");
    if (more) write(folder / "notes.txt");
    remove_search(folder);
    EXPECT_EQ(is_there(folder), more);
    EXPECT_EQ(is_there(folder / "notes.txt"), more);
    EXPECT_FALSE(is_there(folder / "run.json"));
    EXPECT_FALSE(is_there(folder / "trials"));
  }
}

TEST_F(SearchFolder, ARestartWorksInTheFolderThatOneIsIn) {
  const fs::path run = place("proj");
  open(run / ".");
  write(run / "journal.jsonl");
  open(run / ".", true);
  EXPECT_TRUE(fs::exists(kept_beside(run) / "journal.jsonl"));
}

TEST_F(SearchFolder, AProfileFollowsTheSearchThatItRestsOn) {
  const fs::path run = place("proj");
  open(run);
  Profile profile;
  profile.name = "mine";
  profile.batch_size = profile.lora_rank = profile.lora_layers = 1;
  profile.run_folder = (run / ".").string();
  save_profile(profiles(), profile);
  open(run, true);
  EXPECT_EQ(load_profile(profiles(), "mine").run_folder, kept_beside(run).string());
}

TEST_F(SearchFolder, AResultThatCannotBeReadIsNoneAsTheJournalHasTheTrials) {
  const fs::path run = place("proj");
  open(run);
  replace_file(run / "result.json", R"({"status": "complete", "tri)");
  EXPECT_FALSE(open(run));
  EXPECT_THAT(said_, HasSubstr("result.json"));
  EXPECT_THAT(said_, HasSubstr("the trials count"));
  replace_file(run / "result.json", "[]");
  EXPECT_FALSE(open(run));
  replace_file(run / "result.json", R"({"status": "complete"})");
  EXPECT_TRUE(open(run));
}

TEST_F(SearchFolder, ASearchIsGoneOnWithWhateverItsModelWasCalled) {
  const auto found = [&] { return folder_of_search(place(""), "smol", "0123456789ab"); };
  EXPECT_EQ(found(), place("smol-0123456789ab"));
  make_folder(place("other-0123456789ab"));
  EXPECT_EQ(found(), place("smol-0123456789ab")) << "a folder that holds no search";
  open(place("e5f09c2a-0123456789ab"));
  open(place("smol-111111111111"));
  EXPECT_EQ(found(), place("e5f09c2a-0123456789ab"));
  open(place("smol-0123456789ab"));
  EXPECT_EQ(found(), place("smol-0123456789ab"));
  EXPECT_EQ(folder_of_search(place("none"), "smol", "0123456789ab"),
            place("none/smol-0123456789ab"));
}

TEST_F(SearchFolder, ASearchIsGoneOnWithHoweverItsMemoryLimitWasSpelled) {
  const fs::path run = place("run");
  make_folder(run);
  replace_file(run / "run.json",
               R"({"question": {"machine": "CPU, 2 cores", "memory_limit": "20480mb"}})");
  memory_limit_ = "20GiB";
  EXPECT_EQ(refusal(run), "");
  memory_limit_ = "12GiB";
  EXPECT_THAT(refusal(run), HasSubstr("memory_limit: there 20GiB, now 12GiB"));
  replace_file(run / "run.json",
               R"({"question": {"machine": "CPU, 2 cores", "memory_limit": "20"}})");
  EXPECT_THAT(refusal(run), HasSubstr("memory_limit: there 20, now 12GiB"));
}

TEST_F(SearchFolder, AnAdaptersOrAModelsFolderIsNoSearchs) {
  write(place("adapters/adapter_config.json"));
  EXPECT_THAT(refusal(place("adapters")), HasSubstr("holds an adapter"));
  write(place("model/config.json"));
  EXPECT_EQ(refusal(place("model")), "") << "a folder of settings of one's own";
  fs::remove(place("model/run.json"));
  write(place("model/model.safetensors"));
  EXPECT_THAT(refusal(place("model")), HasSubstr("holds a model"));
}

}  // namespace
}  // namespace loadline
