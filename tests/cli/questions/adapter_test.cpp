// Adapters from outside: shown, converted, written by train in either format.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "cli/harness/program.h"

namespace loadline::testing {
namespace {

using ::testing::HasSubstr;

std::string bytes_of(const std::string& path) { return read_file(path, 16_MiB); }

TEST(AdapterCommand, ShowsAndConvertsWhatTrainWrote) {
  const Program program;
  const std::string trained = (program.home() / "trained").string();
  const Ended training =
      program.run({"train", "--demo", "--batch-size", "1", "--lora-rank", "2", "--lora-layers", "2",
                   "--max-steps", "1", "--max-seq-length", "32", "--val-batches", "1",
                   "--adapter-format", "both", "--adapter-path", trained});
  ASSERT_EQ(training.exit_code, 0) << training.err;
  EXPECT_THAT(training.out, HasSubstr("`loadline generate --demo --adapter-path " + trained));
  const std::string back = (program.home() / "back").string();
  const Ended ended = program.run({"adapter", "--model", demo_model(), "--adapter-path",
                                   trained + "/mlx", "--output", back, "--adapter-format", "peft"});
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("alpha       4 (scale 2)\nlayers      2 of 6: 4 to 5\n"));
  for (const char* file : {"/adapter_model.safetensors", "/adapter_config.json"}) {
    EXPECT_EQ(bytes_of(back + file), bytes_of(trained + file)) << file;
  }
  const Ended shown = program.run({"adapter", "--demo", "--adapter-path", trained, "--json"});
  const Json document = parse_json(shown.out, "stdout");
  EXPECT_EQ(document["ranks"], Json::parse("[2]"));
  EXPECT_EQ(document["layers"], Json::parse("[4, 5]"));
  EXPECT_EQ(document["scales"], Json::parse("[2.0]"));
  EXPECT_EQ(document["targets"].size(), 4U);
  const Ended again = program.run({"adapter", "--model", demo_model(), "--adapter-path", trained,
                                   "--output", back, "--adapter-format", "mlx"});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
  // Its weights alone, as after a damaged move, are an adapter too.
  std::filesystem::remove(back + "/adapter_config.json");
  const std::string weights = bytes_of(back + "/adapter_model.safetensors");
  EXPECT_EQ(
      program.run({"adapter", "--demo", "--adapter-path", trained, "--output", back}).exit_code, 2);
  EXPECT_EQ(bytes_of(back + "/adapter_model.safetensors"), weights);
}

TEST(AdapterCommand, RefusesAFormatThatItWouldIgnore) {
  const Ended ended = Program().run(
      {"adapter", "--model", demo_model(), "--adapter-path", "x", "--adapter-format", "mlx"});
  EXPECT_EQ(ended.exit_code, 2);
  EXPECT_THAT(ended.err, HasSubstr("needs --output"));
}

TEST(AdapterCommand, WritesNoAdapterIntoAModelsFolder) {
  const Program program;
  const std::filesystem::path model = program.home() / "model";
  std::filesystem::copy(demo_model(), model);
  const std::string trained = (program.home() / "trained").string();
  const Ended training =
      program.run(on_demo("train --batch-size 1 --lora-rank 2 --lora-layers 1 --max-steps 1 "
                          "--max-seq-length 32 --val-batches 1",
                          {"--adapter-path", trained}));
  ASSERT_EQ(training.exit_code, 0) << training.err;
  const Ended ended = program.run(
      {"adapter", "--model", demo_model(), "--adapter-path", trained, "--output", model.string()});
  EXPECT_EQ(ended.exit_code, 2) << ended.out;
  EXPECT_THAT(ended.err, HasSubstr("--output " + model.string() + ": is a model's folder"));
  EXPECT_FALSE(std::filesystem::exists(model / "adapter_config.json"));
}

}  // namespace
}  // namespace loadline::testing
