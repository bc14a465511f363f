#include "base/json.h"
#include "checkpoint/adapter.h"
#include "checkpoint/adapter_files.h"
#include "checkpoint/mlx.h"
#include "checkpoint/safetensors.h"
#include "unit/checkpoint/adapter_fixture.h"
#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MlxAdapter : public ::testing::Test {
 protected:
  void SetUp() override { write_adapter(folder(), small_adapter(), AdapterFormat::kMlx); }
  [[nodiscard]] fs::path folder() const { return temporary_.path() / "adapter"; }
  [[nodiscard]] fs::path other() const { return temporary_.path() / "other"; }
  [[nodiscard]] fs::path config() const { return folder() / kAdapterConfig; }

  void set(std::string_view pointer, std::string_view value) const {
    Json json = read_json(config());
    json[Json::json_pointer(std::string(pointer))] = parse_json(value, "test");
    replace_file(config(), json.dump());
  }
  [[nodiscard]] std::string refusal() const {
    return message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), small_model()); });
  }

  TemporaryFolder temporary_;
};

std::string bytes_of(const fs::path& path) { return read_file(path, 1_MiB); }

TEST_F(MlxAdapter, IsWrittenUnderTheNamesOfMlxLm) {
  const SafetensorsHeader header = read_safetensors_header(folder() / "adapters.safetensors");
  EXPECT_EQ(header.tensors.size(), 12U);
  const auto shape = [&](const char* name) {
    return header.tensors.at(std::string("model.layers.") + name).shape;
  };
  EXPECT_THAT(shape("1.self_attn.v_proj.lora_a"), ElementsAre(6, 2));
  EXPECT_THAT(shape("2.self_attn.v_proj.lora_b"), ElementsAre(2, 4));
  EXPECT_THAT(shape("2.mlp.down_proj.lora_a"), ElementsAre(10, 2));
  const Json json = read_json(config());
  EXPECT_EQ(json["fine_tune_type"], "lora");
  EXPECT_EQ(json["num_layers"], 2);
  EXPECT_EQ(json["model"], "org/name");
  EXPECT_EQ(json["lora_parameters"],
            Json({{"rank", 2},
                  {"scale", 2.0},
                  {"dropout", 0.0},
                  {"keys", {"self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"}}}));
}

TEST_F(MlxAdapter, HoldsTheMatricesTransposed) {
  const fs::path file = folder() / kMlxTensors;
  const SafetensorsHeader header = read_safetensors_header(file);
  const TensorInfo& info = header.tensors.at("model.layers.1.self_attn.q_proj.lora_a");
  std::vector<float> values(12);
  read_at(file, info.begin, std::as_writable_bytes(std::span(values)));
  const std::vector<float> a = small_adapter().pairs.front().a;  // (2, 6)
  EXPECT_THAT(std::vector<float>(values.begin(), values.begin() + 4),
              ElementsAre(a[0], a[6], a[1], a[7]));
}

TEST_F(MlxAdapter, ReadsWhatWasWritten) {
  expect_same(read_adapter(folder(), small_model()), small_adapter());
  expect_same(read_adapter(folder() / kMlxTensors, small_model()), small_adapter());
}

TEST_F(MlxAdapter, PeftConvertedToMlxAndBackIsIdentical) {
  const fs::path peft = temporary_.path() / "peft";
  const fs::path again = temporary_.path() / "again";
  Adapter adapter = small_adapter();
  for (const double alpha : {4.0, 5.0, 0.1, 12.7, 1.0 / 3.0}) {
    adapter.lora.alpha = alpha;
    adapter.base_revision = alpha == 5 ? "v1.0" : "";
    write_adapter(peft, adapter);
    write_adapter(other(), read_adapter(peft, small_model()), AdapterFormat::kMlx);
    write_adapter(again, read_adapter(other(), small_model()));
    for (const char* file : {kAdapterConfig, kPeftTensors}) {
      EXPECT_EQ(bytes_of(again / file), bytes_of(peft / file)) << file << " with alpha " << alpha;
    }
  }
}

TEST_F(MlxAdapter, BothFormatsLieApartAndReadTheSame) {
  write_adapter(other(), small_adapter(), AdapterFormat::kBoth);
  expect_same(read_adapter(other(), small_model()), small_adapter());
  expect_same(read_adapter(other() / "mlx", small_model()), small_adapter());
  EXPECT_EQ(bytes_of(other() / "mlx" / kMlxTensors), bytes_of(folder() / kMlxTensors));
}

TEST_F(MlxAdapter, AFolderThatChangedItsFormatIsReadAsItsConfigurationSays) {
  Adapter newer = small_adapter();
  newer.pairs.front().a.front() = 77;
  write_adapter(folder(), newer, AdapterFormat::kPeft);
  expect_same(read_adapter(folder(), small_model()), newer);
  newer.pairs.front().a.front() = 78;
  write_adapter(folder(), newer, AdapterFormat::kMlx);
  expect_same(read_adapter(folder(), small_model()), newer);
}

TEST_F(MlxAdapter, KeysAndLayersMayBeLeftToTheTensors) {
  set("/lora_parameters/keys", "null");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
  write_adapter(folder(), small_adapter(3), AdapterFormat::kMlx);
  set("/num_layers", "-1");
  expect_same(read_adapter(folder(), small_model()), small_adapter(3));
}

TEST_F(MlxAdapter, LayersOfOlderVersionsAreUnderstood) {
  Json json = read_json(config());
  json.erase("num_layers");
  json["lora_layers"] = 2;
  json.erase("fine_tune_type");
  replace_file(config(), json.dump());
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

// Until May 2024 mlx-lm multiplied by scale * alpha / rank. Later versions still wrote an alpha
// that they did not read, until April 2025; use_dora, then fine_tune_type and num_layers tell them
// apart.
TEST_F(MlxAdapter, AlphaCountsWhereTheVersionThatWroteItReadIt) {
  const auto scale_of = [&](const Json& keys) {
    Json json = read_json(config());
    json["lora_parameters"] = {{"rank", 2}, {"alpha", 16}, {"dropout", 0.0}, {"scale", 10.0}};
    json.erase("num_layers");
    json.erase("fine_tune_type");
    json.update(keys);
    replace_file(config(), json.dump());
    return read_adapter(folder(), small_model()).lora.scale();
  };
  EXPECT_EQ(scale_of({{"lora_layers", 2}}), 80.0);
  EXPECT_EQ(scale_of({{"lora_layers", 2}, {"use_dora", false}}), 10.0);
  EXPECT_EQ(scale_of({{"fine_tune_type", "lora"}, {"num_layers", 2}}), 10.0);
}

TEST_F(MlxAdapter, DropoutIsWritten) {
  Adapter adapter = small_adapter();
  adapter.lora.dropout = 0.25;
  write_adapter(folder(), adapter, AdapterFormat::kMlx);
  EXPECT_EQ(read_json(config())["lora_parameters"]["dropout"], 0.25);
}

TEST_F(MlxAdapter, WhatIsNotSupportedIsRefusedByName) {
  const std::string good = bytes_of(config());
  const std::vector<std::array<const char*, 3>> cases{
      {"/fine_tune_type", R"("dora")", "fine_tune_type 'dora'"},
      {"/fine_tune_type", R"("full")", "fine_tune_type 'full'"},
      {"/use_dora", "true", "'use_dora'"},
      {"/lora_parameters/rank", "0", "'rank'"},
      {"/lora_parameters/rank", "3", "(6, 2)"},
      {"/lora_parameters/scale", "0", "'scale'"},
      {"/lora_parameters/scale", "1e300", "'scale'"},
      {"/lora_parameters/scale", "5e-324", "'scale'"},
      {"/lora_parameters/scale", "null", "'scale'"},
      {"/lora_parameters/keys", R"(["mlp.gate"])", "mlp.gate"},
      {"/lora_parameters/keys", R"(["self_attn.q_proj"])", "says q_proj"},
      {"/lora_parameters", "[]", "'lora_parameters'"},
      {"/num_layers", "1", "last 1 of 3"},
      {"/num_layers", "4", "'num_layers' is 4"},
      {"/num_layers", "9223372036854775807", "'num_layers'"},
      {"/num_layers", R"("2")", "'num_layers'"}};
  for (const auto& [pointer, value, names] : cases) {
    set(pointer, value);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("adapter"), HasSubstr(names))) << pointer << value;
    replace_file(config(), good);
  }
}

TEST_F(MlxAdapter, AConfigurationOfNeitherFormatIsRefused) {
  replace_file(config(), "{}");
  fs::rename(folder() / kMlxTensors, folder() / kPeftTensors);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("adapter_config.json"), HasSubstr("peft_type")));
}

TEST_F(MlxAdapter, OldArraysAreRefusedWithTheWayOut) {
  fs::remove(folder() / kMlxTensors);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("adapters.safetensors"), HasSubstr("mlx-lm")));
  replace_file(folder() / "adapters.npz", "x");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("adapters.npz"), HasSubstr("safetensors")));
}

TEST(MlxNames, AreUnderstoodInTheirVariantsAndNoOthers) {
  for (const char* name : {"model.layers.11.mlp.up_proj.lora_b", "layers.11.mlp.up_proj.lora_b"}) {
    const std::optional<PairHalf> half = parse_mlx_name(name);
    ASSERT_TRUE(half.has_value()) << name;
    EXPECT_EQ(half->layer, 11);
    EXPECT_EQ(half->projection, Projection::kUp);
    EXPECT_FALSE(half->is_a);
  }
  for (const char* name :
       {"model.layers.1.mlp.up_proj.lora_A.weight", "layers.1.mlp.up_proj.lora_c",
        "layers.1.mlp.up_proj", "layers.1.mlp.up_proj.lora_a.x", "model.layers.1.mlp.up_proj.m",
        "lm_head.lora_a"}) {
    EXPECT_FALSE(parse_mlx_name(name).has_value()) << name;
  }
}

TEST(AdapterFormats, AreNamed) {
  EXPECT_EQ(parse_adapter_format("mlx"), AdapterFormat::kMlx);
  EXPECT_EQ(parse_adapter_format("both"), AdapterFormat::kBoth);
  EXPECT_THAT(message_of(ErrorKind::kUsage, [] { parse_adapter_format("gguf"); }),
              HasSubstr("--adapter-format gguf"));
}

}  // namespace
}  // namespace loadline
