#include "commands/adapter_folder.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

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

}  // namespace
}  // namespace loadline
