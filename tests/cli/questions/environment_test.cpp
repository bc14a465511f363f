// Surroundings that refuse: exit code 4, the thing and the reason named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_lock.h"
#include "cli/harness/program.h"
#include "faults/small_disk.h"

namespace loadline::testing {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> find_in(const std::filesystem::path& run_folder) {
  return {"find",  "--model",   demo_model(),        "--data",        demo_train(), "--ranks",  "8",
          "--yes", "--run-dir", run_folder.string(), "--layers-grid", "2",          "--restart"};
}

TEST(Environment, AReadOnlyRunFolderIsRefusedBeforeATrial) {
  if (!SmallDisk::why_not().empty()) GTEST_SKIP() << SmallDisk::why_not();
  const Program program;
  const SmallDisk disk(1_MiB);
  disk.make_read_only();
  const Ended ended = program.run(find_in(disk.path() / "run"));
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("Read-only file system"));
}

TEST(Environment, ADiskWithoutRoomForAJournalIsRefusedBeforeATrial) {
  if (!SmallDisk::why_not().empty()) GTEST_SKIP() << SmallDisk::why_not();
  const Program program;
  const SmallDisk disk(1_MiB);
  disk.leave(8);
  const Ended ended = program.run(find_in(disk.path() / "run"));
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("No space left on device"));
}

TEST(Environment, RestartDoesNotTakeTheFolderFromARunningSearch) {
  const Program program;
  const auto run = program.home() / "run";
  static_cast<void>(program.write("run/run.json", R"({"question":{}})"));
  const auto lock = lock_file(run / "journal.jsonl");
  const Ended ended = program.run(find_in(run));
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("another search is writing there"));
  EXPECT_TRUE(std::filesystem::exists(run / "run.json"));
}

}  // namespace
}  // namespace loadline::testing
