// --model ORG/NAME and `loadline pull` against a hub on loopback.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/json.h"
#include "cli/harness/program.h"
#include "hub/loopback_hub.h"

namespace loadline::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class HubDownload : public ::testing::Test {
 protected:
  HubDownload() {
    for (const auto& file : fs::directory_iterator(demo_model())) {
      const std::string name = file.path().filename().string();
      hub_.put(name, read_file(file.path(), 16_MiB), name.ends_with(".safetensors"));
    }
    program_.set_environment("HF_ENDPOINT", hub_.url());
    program_.set_environment("HF_HUB_DOWNLOAD_TIMEOUT", "1");
  }
  [[nodiscard]] Ended tokenize() const {
    return program_.run({"tokenize", "--model", "org/name", "--no-special"}, "In the beginning");
  }

  LoopbackHub hub_;
  Program program_;
};

TEST_F(HubDownload, PulledOnceAModelNeedsNoNetwork) {
  const Ended pulled = program_.run({"pull", "org/name"});
  ASSERT_EQ(pulled.exit_code, 0) << pulled.err;
  EXPECT_THAT(pulled.out, HasSubstr(".cache/huggingface/hub/models--org--name/snapshots/"));
  EXPECT_THAT(pulled.err, HasSubstr("6 files"));
  program_.set_environment("HF_ENDPOINT", "http://127.0.0.1:1");
  EXPECT_EQ(tokenize().out, "1271 262 1664 1307\n");
  EXPECT_EQ(program_.run({"pull", "org/name"}).exit_code, 4);
  program_.set_environment("HF_HUB_OFFLINE", "1");
  EXPECT_EQ(program_.run({"pull", "org/name"}).out, pulled.out);
}

TEST_F(HubDownload, TheFirstUseDownloadsWhatItNeeds) {
  program_.set_environment("HF_HOME", (program_.home() / "hf").string());
  (void)program_.write("hf/token", "hf_from_file\n");
  EXPECT_EQ(tokenize().out, "1271 262 1664 1307\n");
  EXPECT_THAT(hub_.asked_for("model.safetensors"), IsEmpty());
  EXPECT_EQ(hub_.hub_requests().front().header("authorization"), "Bearer hf_from_file");
  const std::string rows = program_.write("rows.jsonl", "{\"input_ids\":[1,2,3,4]}\n");
  const Ended trained = program_.run({"train", "--model", "org/name", "--data", rows,
                                      "--batch-size", "1", "--lora-rank", "2", "--lora-layers", "1",
                                      "--max-steps", "1", "--max-seq-length", "32",
                                      "--adapter-path", (program_.home() / "adapter").string()});
  EXPECT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(hub_.asked_for("model.safetensors"), Not(IsEmpty()));
  EXPECT_THAT(trained.out, HasSubstr("generate --model org/name --adapter-path"));
  const Json config = read_json(program_.home() / "adapter/adapter_config.json");
  EXPECT_EQ(config["base_model_name_or_path"], "org/name") << "as the Hub and PEFT know it";
}

TEST_F(HubDownload, EachRefusalHasItsExitCode) {
  const auto answer = [&](int status, const std::string& code) {
    hub_.hub_fault([=](const Request&, Reply& reply) {
      reply = {.status = status, .headers = {{"X-Error-Code", code}}, .body = ""};
    });
    return program_.run({"pull", "org/name"});
  };
  const Ended missing = answer(401, "RepoNotFound");
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.err, HasSubstr("has no such model"));
  const Ended gated = answer(403, "GatedRepo");
  EXPECT_EQ(gated.exit_code, 4);
  EXPECT_THAT(gated.err, HasSubstr("is gated"));
  EXPECT_EQ(program_.run({"pull", "no-name"}).exit_code, 2);
  program_.set_environment("HF_TOKEN", "two words");
  EXPECT_THAT(program_.run({"pull", "org/name"}).err, HasSubstr("HF_TOKEN: holds no token"));
}

TEST_F(HubDownload, AnInterruptedPullIsResumed) {
  hub_.store_fault(only_first(100, [](const Request& request, Reply& reply) {
    if (request.header("range").empty()) reply.cut_after = 1'000'000;
    if (!request.header("range").empty()) reply.stall_after = 0;
  }));
  const Ended stopped = program_.run_and_signal({"pull", "org/name"}, "trying again", SIGINT);
  EXPECT_EQ(stopped.exit_code, 3) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("The same command goes on"));
  hub_.store_fault({});
  const Ended again = program_.run({"pull", "org/name", "--json"});
  const Json document = parse_json(again.out, "stdout");
  EXPECT_EQ(document["commit"], LoopbackHub::kCommit);
  EXPECT_LT(document["received_bytes"].get<std::uint64_t>(), 5'000'000U);
}

}  // namespace
}  // namespace loadline::testing
