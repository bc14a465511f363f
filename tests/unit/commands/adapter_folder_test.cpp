#include "commands/adapter_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// What the command goes on with is read from the folder right after that.
TEST(AdapterFolderTest, KilledWhileItTookThePlaceOfAnotherARunTakesItBeforeItIsReadForResume) {
  const TemporaryFolder folder;
  TrainingSettings place;
  place.adapter_path = folder.path();
  place.resume = true;
  const fs::path unfinished = folder.path() / "unfinished";
  for (const fs::path& made : {folder.path() / "checkpoints", unfinished}) make_folder(made);
  replace_file(folder.path() / ".train.lock", "");
  replace_file(folder.path() / "checkpoints/latest", "0000002\n");
  replace_file(unfinished / ".settling", "");
  replace_file(unfinished / "command.json", "{}");
  require_resumable(place);
  EXPECT_EQ(read_file(folder.path() / "command.json", 1_KiB), "{}");
  EXPECT_FALSE(fs::exists(unfinished));
}

TEST(AdapterFolderTest, AFolderOfASearchOrOfTheDataIsNoneForAnAdapter) {
  const TemporaryFolder folder;
  const auto refusal = [](const fs::path& of, const std::vector<fs::path>& data) -> std::string {
    try {
      require_folder_of_its_own(of, data);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.what();
    }
    return "";
  };
  const fs::path search = folder.path() / "search", rows = folder.path() / "rows";
  for (const fs::path& made : {search, rows}) make_folder(made);
  replace_file(search / "run.json", "{}");
  EXPECT_EQ(refusal(search, {rows / "train.jsonl"}), "") << "one of the names alone";
  replace_file(search / "journal.jsonl", "");
  EXPECT_THAT(refusal(search, {}), HasSubstr(search.string() + ": is the folder of a search"));
  EXPECT_THAT(refusal(rows / ".", {rows / "train.jsonl"}),
              AllOf(HasSubstr("is the folder of the data"), HasSubstr("train.jsonl")));
  EXPECT_EQ(refusal(rows / "adapters", {rows / "train.jsonl"}), "");
}

}  // namespace
}  // namespace loadline
