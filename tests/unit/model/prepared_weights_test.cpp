#include "model/prepared_weights.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "base/file.h"
#include "checkpoint/config.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;

ModelConfig two_layers() {
  ModelConfig model;
  model.model_type = "llama";
  model.vocab_size = 70;
  model.hidden_size = 64;
  model.intermediate_size = 128;
  model.layers = 2;
  model.heads = 4;
  model.kv_heads = 2;
  model.head_dim = 16;
  return model;
}

class PreparedWeights : public testing::Test {
 protected:
  StepShape shape{.tokens = 4,
                  .rows = 1,
                  .longest_row = 4,
                  .compute = DType::kF32,
                  .quantize = Quantization::kNf4};
  LoraSettings lora{.rank = 2, .alpha = 4, .layers = 1, .targets = {Projection::kQ}};
  StepPlan plan = plan_step(two_layers(), lora, shape);
  Workspace made{plan.memory, ""};
  Workspace read{plan.memory, ""};
  TemporaryFolder folder;
  std::string key = prepared_key("fingerprint", shape);
  fs::path file = prepared_file(folder.path(), key);

  void SetUp() override {
    for (const Buffer& buffer : plan.memory.buffers()) {
      if (buffer.phase != "weights") continue;
      const BufferId id(static_cast<std::size_t>(&buffer - plan.memory.buffers().data()));
      for (std::size_t i = 0; i < buffer.bytes.count; ++i) {
        made.bytes(id)[i] = static_cast<std::byte>(i * 7 + id.index());
      }
    }
    write_prepared(file, key, plan, made);
  }
  void change_byte(std::uint64_t offset) const {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const int old = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(static_cast<char>(old ^ 1));
  }
};

TEST_F(PreparedWeights, AreReadBackToTheLastByte) {
  ASSERT_TRUE(read_prepared(file, key, plan, read));
  for (std::size_t i = 0; i < plan.memory.buffers().size(); ++i) {
    if (plan.memory.buffers()[i].phase != "weights") continue;
    const auto want = made.bytes(BufferId(i));
    const auto got = read.bytes(BufferId(i));
    EXPECT_TRUE(std::equal(want.begin(), want.end(), got.begin())) << plan.memory.buffers()[i].name;
  }
}

// Its GiB are not read to find out at their end what its first lines say.
TEST_F(PreparedWeights, OfAnotherKeyAreNotRead) {
  EXPECT_FALSE(read_prepared(file, prepared_key("another", shape), plan, read));
  for (std::size_t i = 0; i < plan.memory.buffers().size(); ++i) {
    if (plan.memory.buffers()[i].phase != "weights") continue;
    for (const std::byte byte : read.bytes(BufferId(i))) ASSERT_EQ(byte, std::byte{0});
  }
}

TEST_F(PreparedWeights, ThatAreMissingOrCutAreNotRead) {
  EXPECT_FALSE(read_prepared(folder.path() / "none.weights", key, plan, read));
  fs::resize_file(file, fs::file_size(file) - 1);
  EXPECT_FALSE(read_prepared(file, key, plan, read));
}

TEST_F(PreparedWeights, LoadingThemRemovesWhatKilledWritersLeft) {
  const fs::path left = file.string() + ".loadline-a1B2c3";
  const fs::path living = file.string() + ".loadline-d4E5f6";
  for (const fs::path& unfinished : {left, living}) replace_file(unfinished, "half");
  fs::last_write_time(left, fs::file_time_type::clock::now() - std::chrono::hours(2));
  const fs::path model = LOADLINE_SOURCE_DIR "/demo/model";
  const ModelConfig config = read_config(model);
  const StepPlan of_demo = plan_step(config, lora, shape);
  const Workspace memory(of_demo.memory, "");
  load_prepared_weights(WeightFiles(model), file, config, shape, of_demo, memory);
  EXPECT_FALSE(fs::exists(left));
  EXPECT_TRUE(fs::exists(living));
}

TEST_F(PreparedWeights, WithAnyByteChangedAreNotRead) {
  const std::uint64_t size = fs::file_size(file);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{40}, std::uint64_t{4000},
                                     std::uint64_t{4096}, size / 2, size - 1}) {
    change_byte(offset);
    EXPECT_FALSE(read_prepared(file, key, plan, read)) << offset;
    change_byte(offset);
  }
  EXPECT_TRUE(read_prepared(file, key, plan, read));
}

}  // namespace
}  // namespace loadline
