// Surroundings that refuse: exit code 4, the thing and the reason named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file_lock.h"
#include "cli/harness/program.h"
#include "faults/small_disk.h"

namespace loadline::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> find_in(const std::filesystem::path& run_folder) {
  return on_demo("find --ranks 8 --layers-grid 2 --yes --restart",
                 {"--run-dir", run_folder.string()});
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

TEST(Environment, ACacheThatCannotBeWrittenIsDoneWithout) {
  Program program;
  program.set_environment("XDG_CACHE_HOME", program.write("file", "in the way of a folder"));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"plan", "--demo"}, std::vector<std::string>{"data", "--demo"}}) {
    const Ended ended = program.run(command);
    EXPECT_EQ(ended.exit_code, 0) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr("XDG_CACHE_HOME"));
    const std::string folder = ended.err.substr(ended.err.find(" lies in ") + 9);
    EXPECT_FALSE(std::filesystem::exists(folder.substr(0, folder.find(' ')))) << "it goes again";
  }
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

TEST(Environment, ARunFolderWhoseRecordIsDamagedIsRefusedByName) {
  const Program program;
  for (const char* damaged : {"[]", "3", "{}"}) {
    const std::string file = program.write("run/run.json", damaged);
    std::vector<std::string> words = find_in(program.home() / "run");
    std::erase(words, "--restart");
    const Ended ended = program.run(words);
    EXPECT_EQ(ended.exit_code, 2) << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(file + ": 'question' is missing"));
  }
}

TEST(Environment, AProfileFolderThatCannotBeMadeIsRefusedBeforeATrial) {
  Program program;
  program.set_environment("XDG_DATA_HOME", program.write("a_file", ""));
  const Ended ended = program.run(find_in(program.home() / "run"));
  EXPECT_EQ(ended.exit_code, 4) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("a_file/loadline/profiles"));
  EXPECT_FALSE(std::filesystem::exists(program.home() / "run"));
}

TEST(Environment, ASearchThatSavesNoProfileNeedsNoPlaceForOne) {
  Program program;
  program.set_environment("HOME", "");
  program.set_environment("XDG_CACHE_HOME", (program.home() / "cache").string());
  const std::filesystem::path run = program.write("adapter/adapter_config.json", "{}");
  const auto find = [&](const std::string& more) {
    return program.run(on_demo("find " + more, {"--run-dir", run.parent_path().string()}));
  };
  EXPECT_THAT(find("--yes").err, HasSubstr("neither XDG_DATA_HOME nor HOME is set"));
  EXPECT_THAT(find("--no-save").err, HasSubstr("holds an adapter"));
}

class OutputOfFind : public ::testing::Test {
 protected:
  // A search over rows of its own, with this --output.
  Ended find(const std::filesystem::path& output, const std::string& more = "") {
    return program_.run(on_demo("find --ranks 8 --layers-grid 2 --yes" + more,
                                {"--data", data_, "--valid-data", valid_, "--run-dir",
                                 (home() / "run").string(), "--output", output.string()}));
  }
  void expect_refused(const std::filesystem::path& output, int exit_code, const char* why) {
    const Ended ended = find(output);
    EXPECT_EQ(ended.exit_code, exit_code) << output << ": " << ended.err;
    EXPECT_THAT(ended.err, HasSubstr(why));
    EXPECT_THAT(ended.out, Not(HasSubstr("Testing:")));
  }
  [[nodiscard]] std::filesystem::path home() const { return program_.home(); }

  Program program_;
  std::string rows_ = "{\"text\":\"one two three\"}\n";
  std::string data_ = program_.write("data/rows.jsonl", rows_);
  std::string valid_ = program_.write("data/valid.jsonl", rows_);
};

TEST_F(OutputOfFind, IsNeverTheDataByWhateverName) {
  std::filesystem::create_directory_symlink(home() / "data", home() / "link");
  expect_refused(data_, 2, "which the search reads");
  expect_refused(valid_, 2, "which the search reads");
  expect_refused(home() / "link/rows.jsonl", 2, "which the search reads");
  std::filesystem::create_symlink(data_, home() / "rows");
  expect_refused(home() / "rows", 2, "which the search reads");
  EXPECT_EQ(read_file(data_, 1_KiB), rows_);
}

TEST_F(OutputOfFind, LiesNotAmongTheSearchsOwnFiles) {
  std::filesystem::create_directories(home() / "run");
  std::filesystem::create_directory_symlink(home() / "run", home() / "link");
  expect_refused(home() / "run/journal.jsonl", 2, "lies in the run folder");
  expect_refused(home() / "run/trials/001/new.json", 2, "lies in the run folder");
  expect_refused(home() / "link/run.json", 2, "lies in the run folder");
}

TEST_F(OutputOfFind, IsTheFinishedAnswerWhereWhatGoesOnFromThereIsInterrupted) {
  const auto output = home() / "answer.json", result = home() / "run" / "result.json";
  const std::string interrupted = " --steps 10000 --time-limit 1s";  // in its first trial
  ASSERT_EQ(find(output, interrupted).exit_code, 3);
  Json finished = read_json(result);
  finished["status"] = "complete";
  for (const auto& file : {result, output}) replace_file(file, finished.dump());
  ASSERT_EQ(find(output, interrupted).exit_code, 3);
  EXPECT_EQ(read_json(result)["status"], "complete");
  EXPECT_EQ(read_json(output)["status"], "complete");
}

TEST_F(OutputOfFind, ThatCannotBeWrittenIsRefusedBeforeATrial) {
  expect_refused(home() / "data", 2, "is not a file");
  expect_refused(home() / "new/", 2, "is not a file");
  expect_refused("/dev/null", 2, "is not a file");
  expect_refused(home() / "data/rows.jsonl/answer.json", 4, "data/rows.jsonl");
}

TEST(Environment, ALimitOnTheSizeOfFilesIsAnErrorThatNamesTheFileAndLeavesNothingBehind) {
  const Program program;
  const Ended trained = program.run_in_shell(
      "ulimit -f 10; \"$LOADLINE\" train --demo --batch-size 1 --lora-rank 8 --lora-layers 2 "
      "--max-steps 1 --max-seq-length 32 --val-batches 1 --adapter-path \"$HOME/adapter\"");
  EXPECT_EQ(trained.exit_code, 4) << trained.err;
  EXPECT_THAT(trained.err, AllOf(HasSubstr(program.home().string()), HasSubstr("File too large")));
  const Ended whole = program.run_in_shell(
      "\"$LOADLINE\" train --demo --batch-size 1 --lora-rank 2 --lora-layers 1 --max-steps 1 "
      "--max-seq-length 32 --val-batches 1 --adapter-path \"$HOME/small\"");
  ASSERT_EQ(whole.exit_code, 0) << whole.err;
  const Ended fused = program.run_in_shell(
      "mkdir \"$HOME/fused\" && ulimit -f 10; \"$LOADLINE\" fuse --model '" + demo_model() +
      "' --adapter-path \"$HOME/small\" --output \"$HOME/fused/model\"");
  EXPECT_EQ(fused.exit_code, 4) << fused.err;
  EXPECT_THAT(fused.err, HasSubstr("File too large"));
  EXPECT_TRUE(std::filesystem::is_empty(program.home() / "fused"));
}

}  // namespace
}  // namespace loadline::testing
