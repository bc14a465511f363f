#include "commands/adapter_base.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "unit/environment.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kDemo = LOADLINE_SOURCE_DIR "/demo/model";

class AdapterBase : public ::testing::Test {
 protected:
  std::string warning(const std::string& base, const fs::path& folder = kDemo) {
    return other_base_warning(base, folder, model_);
  }
  // A copy of the demo's model, called so.
  fs::path copied(const std::string& name) const {
    fs::create_directories(folder_.path() / name);
    for (const char* file : {"config.json", "model.safetensors"}) {
      replace_file(folder_.path() / name / file, read_file(kDemo / file, 64_MiB));
    }
    return folder_.path() / name;
  }
  ModelConfig model_ = read_config(kDemo);
  TemporaryFolder folder_;
};

TEST_F(AdapterBase, OfAnotherNameIsWarnedOfWithBothNames) {
  EXPECT_THAT(warning("meta-llama/Llama-3.2-1B"),
              AllOf(HasSubstr("Warning: "), HasSubstr("meta-llama/Llama-3.2-1B"),
                    HasSubstr(kDemo.string())));
  EXPECT_THAT(warning("/gone/other"), HasSubstr("/gone/other"));
}

TEST_F(AdapterBase, ATerminalObeysNothingThatAnAdapterSays) {
  EXPECT_THAT(warning("org/\x1b[2Jother"), HasSubstr("org/?[2Jother"));
}

TEST_F(AdapterBase, ThatMovedOrComesFromTheHubIsTheSame) {
  EXPECT_EQ(warning(""), "") << "not said";
  EXPECT_EQ(warning(kDemo.string() + "/"), "");
  EXPECT_EQ(warning("/gone/model"), "");
  EXPECT_EQ(warning("ORG/Model@main"), "");
  EXPECT_EQ(warning("/home/u/.cache/huggingface/hub/models--ORG--model/snapshots/0123abcd"), "");
}

TEST_F(AdapterBase, OfTheHubIsLookedAtInItsCache) {
  Environment environment;
  environment.set("HF_HUB_CACHE", (folder_.path() / "hub").string());
  environment.set("HF_ENDPOINT", "http://127.0.0.1:1");
  const std::string commit(40, 'a');
  const std::string snapshot = copied("hub/models--org--smol/snapshots/" + commit).string();
  const std::string renamed = copied("renamed").string();
  EXPECT_THAT(warning("org/smol", renamed), HasSubstr("org/smol")) << "no ref names the snapshot";
  fs::create_directories(folder_.path() / "hub/models--org--smol/refs");
  replace_file(folder_.path() / "hub/models--org--smol/refs/main", commit);
  EXPECT_EQ(warning("org/smol", renamed), "") << "the same weights under another name";
  EXPECT_EQ(warning("org/smol", snapshot), "");
  EXPECT_EQ(warning(snapshot, snapshot), "") << "as adapters of earlier versions have it";
  EXPECT_THAT(warning("org/smol@no revision", renamed), HasSubstr("org/smol@no revision"));
  AnyAdapter adapter;
  adapter.base_model = "org/smol";
  adapter.base_revision = "v2";
  EXPECT_THAT(warning(base_named_by(adapter), renamed), HasSubstr("org/smol@v2"))
      << "another revision than main's";
  replace_file(folder_.path() / "hub/models--org--smol/refs/v2", commit);
  EXPECT_EQ(warning(base_named_by(adapter), renamed), "");
  const std::string moved_on(40, 'b');
  const fs::path newer = copied("hub/models--org--smol/snapshots/" + moved_on);
  std::string weights = read_file(newer / "model.safetensors", 64_MiB);
  weights.replace(weights.size() - 64, 64, 64, '\x11');
  replace_file(newer / "model.safetensors", weights);
  EXPECT_THAT(warning(base_named_by(adapter), newer), HasSubstr("org/smol@v2"))
      << "of the same name and shape, with other weights";
}

TEST_F(AdapterBase, ThatIsThereIsLookedAt) {
  EXPECT_EQ(warning(copied("renamed").string()), "") << "the same weights under another name";
  const fs::path other = copied("model");
  EXPECT_EQ(warning(other.string()), "");
  std::string config = read_file(other / "config.json", 1_MiB);
  config.replace(config.find("\"num_hidden_layers\": 6"), 22, "\"num_hidden_layers\": 3");
  replace_file(other / "config.json", config);
  EXPECT_THAT(warning(other.string()), HasSubstr(other.string())) << "of the same name alone";
}

}  // namespace
}  // namespace loadline
