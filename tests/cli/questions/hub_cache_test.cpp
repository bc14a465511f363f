// --model ORG/NAME, out of a Hugging Face cache as the Python client leaves it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const std::string kCommit = "0123456789abcdef0123456789abcdef01234567";

// The demo's model as org/demo, in `cache`.
void fill_cache(const fs::path& cache) {
  const fs::path model = cache / "models--org--demo";
  for (const char* folder : {"blobs", "refs"}) fs::create_directories(model / folder);
  fs::create_directories(model / "snapshots" / kCommit);
  for (const auto& file : fs::directory_iterator(demo_model())) {
    const fs::path name = file.path().filename();
    fs::copy_file(file.path(), model / "blobs" / ("etag-" + name.string()));
    fs::create_symlink("../../blobs/etag-" + name.string(), model / "snapshots" / kCommit / name);
  }
  replace_file(model / "refs/main", kCommit);
}

Ended tokenize(const Program& program, const std::string& model) {
  return program.run({"tokenize", "--model", model, "--no-special"}, "In the beginning");
}

TEST(HubCacheOfTheUser, IsFoundByTheVariablesOfThePythonClient) {
  for (const auto& [variable, value, below] :
       {std::tuple("HF_HUB_CACHE", "hub-cache", "hub-cache"), std::tuple("HF_HOME", "hf", "hf/hub"),
        std::tuple("XDG_CACHE_HOME", "xdg", "xdg/huggingface/hub"),
        std::tuple("", "", ".cache/huggingface/hub")}) {
    Program program;
    if (*variable != '\0') program.set_environment(variable, (program.home() / value).string());
    fill_cache(program.home() / below);
    EXPECT_EQ(tokenize(program, "org/demo").out, "1271 262 1664 1307\n") << variable;
    EXPECT_EQ(tokenize(program, "org/demo@" + kCommit).out, "1271 262 1664 1307\n") << variable;
  }
}

TEST(HubCacheOfTheUser, GivesAWholeModelToPlan) {
  const Program program;
  fill_cache(program.home() / ".cache/huggingface/hub");
  const Ended ended = program.run({"plan", "--model", "org/demo", "--batch-size", "2"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("predicted to fit"));
}

TEST(HubCacheOfTheUser, IsNotAskedForWhatIsNoName) {
  const Ended ended = tokenize(Program(), "no-such-folder");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("no such folder"));
  EXPECT_EQ(tokenize(Program(), "org/demo@../../x").exit_code, 2);
}

TEST(HubCacheOfTheUser, IsNamedWhereItCannotBeLookedAt) {
  Program program;
  const fs::path loop = program.home() / "loop";
  fs::create_symlink(loop, loop);
  program.set_environment("HF_HOME", loop.string());
  const Ended ended = tokenize(program, "org/demo");
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("loadline: " + loop.string() + "/token: cannot be looked at: "));
}

TEST(HubCacheOfTheUser, SaysWhatAModelInItLacks) {
  Program program;
  program.set_environment("HF_HUB_OFFLINE", "1");
  const Ended none = tokenize(program, "org/demo");
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("cache"));
  const fs::path cache = program.home() / ".cache/huggingface/hub";
  fill_cache(cache);
  fs::remove(cache / "models--org--demo/blobs/etag-config.json");
  const Ended lacking = tokenize(program, "org/demo");
  EXPECT_EQ(lacking.exit_code, 2);
  EXPECT_THAT(lacking.err, HasSubstr("lacks config.json"));
}

}  // namespace
}  // namespace loadline::testing
