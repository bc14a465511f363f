#include "model/frozen_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

const fs::path kDemo = LOADLINE_SOURCE_DIR "/demo/model";

std::string refusal(const fs::path& folder, std::int64_t layers) {
  ModelConfig model = read_config(kDemo);
  model.layers = layers;
  try {
    require_frozen_weights(WeightFiles(folder), model);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(FrozenWeights, OfMoreLayersThanTheConfigurationHasAreRefusedWithBothNumbers) {
  EXPECT_EQ(refusal(kDemo, 6), "");
  EXPECT_THAT(refusal(kDemo, 4),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("'model.layers.4."),
                    HasSubstr("num_hidden_layers is 4"), HasSubstr("config.json")));
  EXPECT_THAT(refusal(kDemo, 7), HasSubstr("model.layers.6."));
}

TEST(FrozenWeights, MayHaveBuffersAndAHeadBesideThem) {
  const TemporaryFolder folder;
  replace_file(folder.path() / "a.safetensors", read_file(kDemo / "model.safetensors", 64_MiB));
  const std::vector<float> values(4);
  std::vector<TensorToWrite> extras;
  for (const char* name : {"model.layers.0.self_attn.rotary_emb.inv_freq",
                           "model.layers.6.self_attn.rotary_emb.inv_freq", "lm_head.weight"}) {
    extras.push_back({.name = name,
                      .dtype = DType::kF32,
                      .shape = {4},
                      .data = std::as_bytes(std::span(values))});
  }
  write_safetensors(folder.path() / "b.safetensors", extras, {});
  Json where = Json::object();
  const WeightFiles demo(kDemo);
  for (const auto& tensor : demo.files().begin()->second.tensors) {
    where[tensor.first] = "a.safetensors";
  }
  for (const TensorToWrite& extra : extras) where[extra.name] = "b.safetensors";
  replace_file(folder.path() / "model.safetensors.index.json", Json{{"weight_map", where}}.dump());
  EXPECT_EQ(refusal(folder.path(), 6), "");
}

}  // namespace
}  // namespace loadline
