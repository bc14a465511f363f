#include "checkpoint/adapter.h"

#include "base/json.h"
#include "checkpoint/peft.h"
#include "checkpoint/safetensors.h"
#include "unit/checkpoint/adapter_fixture.h"
#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AdapterFolder : public ::testing::Test {
 protected:
  void SetUp() override { write_adapter(folder(), small_adapter()); }
  [[nodiscard]] fs::path folder() const { return temporary_.path() / "adapter"; }
  [[nodiscard]] fs::path tensors() const { return folder() / "adapter_model.safetensors"; }
  [[nodiscard]] fs::path config() const { return folder() / "adapter_config.json"; }

  // Sets a key of adapter_config.json; "absent" removes it.
  void set(const char* key, std::string_view value) const {
    Json json = read_json(config());
    if (value == "absent") {
      json.erase(key);
    } else {
      json[key] = parse_json(value, key);
    }
    replace_file(config(), json.dump());
  }
  // Replaces a text in the header by one of the same length.
  void rename(const std::string& from, const std::string& to) const {
    ASSERT_EQ(from.size(), to.size());
    std::string bytes = read_file(tensors(), 1_MiB);
    std::size_t at = bytes.find(from);
    ASSERT_NE(at, std::string::npos);
    for (; at != std::string::npos; at = bytes.find(from, at + 1))
      bytes.replace(at, from.size(), to);
    replace_file(tensors(), bytes);
  }
  [[nodiscard]] std::string refusal() const {
    return message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), small_model()); });
  }

 private:
  TemporaryFolder temporary_;
};

TEST(Projections, HaveTheirNamesPathsAndShapes) {
  EXPECT_EQ(name_of(Projection::kQ), "q_proj");
  EXPECT_EQ(name_of(Projection::kDown), "down_proj");
  EXPECT_EQ(module_path(Projection::kO), "self_attn.o_proj");
  EXPECT_EQ(module_path(Projection::kUp), "mlp.up_proj");
  const ModelConfig model = small_model();
  const auto widths = [&](Projection p) {
    return std::pair(shape_of(model, p).in, shape_of(model, p).out);
  };
  EXPECT_EQ(widths(Projection::kQ), std::pair(6L, 8L));
  EXPECT_EQ(widths(Projection::kK), std::pair(6L, 4L));
  EXPECT_EQ(widths(Projection::kV), std::pair(6L, 4L));
  EXPECT_EQ(widths(Projection::kO), std::pair(8L, 6L));
  EXPECT_EQ(widths(Projection::kGate), std::pair(6L, 10L));
  EXPECT_EQ(widths(Projection::kUp), std::pair(6L, 10L));
  EXPECT_EQ(widths(Projection::kDown), std::pair(10L, 6L));
}

TEST(Projections, AreParsedInTheEnumsOrderWithoutRepeats) {
  const ModelConfig model = small_model();
  EXPECT_THAT(parse_targets("v_proj,q_proj,v_proj", model),
              ElementsAre(Projection::kQ, Projection::kV));
  EXPECT_EQ(parse_targets("all", model).size(), 7U);
  EXPECT_EQ(names_of(parse_targets("attention", model)), "q_proj,k_proj,v_proj,o_proj");
  for (const char* bad :
       {"", "q_proj,", ",q_proj", "q", "lm_head", "q_proj v_proj", "all,q_proj"}) {
    EXPECT_THAT(message_of(ErrorKind::kUsage, [&] { parse_targets(bad, model); }),
                HasSubstr("--target-modules"))
        << bad;
  }
}

ModelConfig fused_model() {
  ModelConfig model = small_model();
  model.model_type = "phi3";
  model.fused_projections = true;
  return model;
}

TEST(Projections, OfAFusedModelAreItsOwnModules) {
  const ModelConfig model = fused_model();
  EXPECT_EQ(names_of(parse_targets("all", model)), "o_proj,down_proj,qkv_proj,gate_up_proj");
  EXPECT_EQ(names_of(parse_targets("attention", model)), "o_proj,qkv_proj");
  EXPECT_THAT(message_of(ErrorKind::kUsage, [&] { parse_targets("q_proj", model); }),
              AllOf(HasSubstr("'q_proj'"), HasSubstr("phi3"), HasSubstr("qkv_proj")));
  EXPECT_THAT(message_of(ErrorKind::kUsage, [&] { parse_targets("qkv_proj", small_model()); }),
              AllOf(HasSubstr("'qkv_proj'"), HasSubstr("llama"), HasSubstr("q_proj,k_proj")));
  const ProjectionShape qkv = shape_of(model, Projection::kQkv);
  EXPECT_EQ(std::pair(qkv.in, qkv.out), std::pair(6L, 16L));
  EXPECT_THAT(qkv.parts, ElementsAre(8, 4, 4));
  EXPECT_THAT(shape_of(model, Projection::kGateUp).parts, ElementsAre(10, 10));
  EXPECT_EQ(names_of(parse_projections("gate_up_proj,q_proj")), "q_proj,gate_up_proj");
}

TEST_F(AdapterFolder, OfAFusedProjectionHasOnePairUnderItsOwnName) {
  const ModelConfig model = fused_model();
  Adapter adapter;
  adapter.lora = {.rank = 1, .alpha = 2, .layers = 1, .targets = {Projection::kQkv}};
  adapter.pairs.push_back({.layer = 2,
                           .projection = Projection::kQkv,
                           .a = std::vector<float>(6, 0.5F),
                           .b = std::vector<float>(16, 0.25F)});
  write_adapter(folder(), adapter);
  const SafetensorsHeader header = read_safetensors_header(tensors());
  const std::string name = "base_model.model.model.layers.2.self_attn.qkv_proj.lora_B.weight";
  EXPECT_THAT(header.tensors.at(name).shape, ElementsAre(16, 1));
  EXPECT_EQ(read_json(config())["target_modules"], Json({"qkv_proj"}));
  expect_same(read_adapter(folder(), model), adapter);
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), small_model()); }),
              AllOf(HasSubstr("adapts qkv_proj"), HasSubstr("a llama model has q_proj")));
}

TEST_F(AdapterFolder, ReadsWhatWasWritten) {
  expect_same(read_adapter(folder(), small_model()), small_adapter());
  expect_same(read_adapter(tensors(), small_model()), small_adapter());
}

TEST_F(AdapterFolder, IsWrittenUnderTheNamesOfPeft) {
  const SafetensorsHeader header = read_safetensors_header(tensors());
  EXPECT_EQ(header.tensors.size(), 12U);
  const auto shape = [&](const char* name) {
    return header.tensors.at(std::string("base_model.model.model.layers.") + name).shape;
  };
  EXPECT_THAT(shape("1.self_attn.v_proj.lora_A.weight"), ElementsAre(2, 6));
  EXPECT_THAT(shape("2.self_attn.v_proj.lora_B.weight"), ElementsAre(4, 2));
  EXPECT_THAT(shape("2.mlp.down_proj.lora_A.weight"), ElementsAre(2, 10));
  const Json json = read_json(config());
  EXPECT_EQ(json["peft_type"], "LORA");
  EXPECT_EQ(json["r"], 2);
  EXPECT_TRUE(json["lora_alpha"].is_number_integer());
  EXPECT_EQ(json["target_modules"], Json({"q_proj", "v_proj", "down_proj"}));
  EXPECT_EQ(json["layers_to_transform"], Json({1, 2}));
  EXPECT_EQ(json["base_model_name_or_path"], "org/name");
}

TEST_F(AdapterFolder, TheRevisionOfItsModelIsPeftsOwnField) {
  EXPECT_TRUE(read_json(config()).at("revision").is_null()) << "none was asked for";
  Adapter adapter = small_adapter();
  adapter.base_revision = "v1.0";
  write_adapter(folder(), adapter);
  EXPECT_EQ(read_json(config())["base_model_name_or_path"], "org/name");
  EXPECT_EQ(read_json(config())["revision"], "v1.0");
  EXPECT_EQ(read_adapter(folder(), small_model()).base_revision, "v1.0");
  set("revision", "absent");
  EXPECT_EQ(read_adapter(folder(), small_model()).base_revision, "") << "of earlier versions";
}

TEST_F(AdapterFolder, IsReadWithoutThePrefixesAndWithAnAdapterName) {
  // The length of a name must stay, so blanks inside the JSON text make up for what is cut.
  const auto cut = [&](std::string_view from, std::string_view to) {
    std::string bytes = read_file(tensors(), 1_MiB);
    for (std::size_t at = bytes.find(from); at != std::string::npos;
         at = bytes.find(from, at + 1)) {
      const std::size_t close = bytes.find("\":", at);
      std::string name = bytes.substr(at, close - at);
      name.replace(0, from.size(), to);
      name += '"';
      name.resize(close + 1 - at, ' ');
      bytes.replace(at, close + 1 - at, name);
    }
    replace_file(tensors(), bytes);
  };
  cut("base_model.model.model.layers", "base_model.model.layers");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
  cut("base_model.model.layers", "model.layers");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
  cut("model.layers", "layers");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

TEST(PeftNames, AreUnderstoodInTheirVariantsAndNoOthers) {
  for (const char* name : {"base_model.model.model.layers.11.mlp.up_proj.lora_B.weight",
                           "base_model.model.layers.11.mlp.up_proj.lora_B.weight",
                           "model.layers.11.mlp.up_proj.lora_B.weight",
                           "layers.11.mlp.up_proj.lora_B.default.weight"}) {
    const std::optional<PairHalf> half = parse_peft_name(name);
    ASSERT_TRUE(half.has_value()) << name;
    EXPECT_EQ(half->layer, 11);
    EXPECT_EQ(half->projection, Projection::kUp);
    EXPECT_FALSE(half->is_a);
  }
  for (const char* name :
       {"", "layers.", "layers.-1.mlp.up_proj.lora_A.weight", "layers.1.mlp.up_proj.lora_A",
        "layers.1.mlp.up_proj.lora_C.weight", "layers.1.self_attn.up_proj.lora_A.weight",
        "lm_head.lora_A.weight", "layers.1.mlp.up_proj.lora_A.weight.x", "layers.x.mlp.up_proj",
        "layers.99999999999999999999.mlp.up_proj.lora_A.weight"}) {
    EXPECT_FALSE(parse_peft_name(name).has_value()) << name;
  }
}

TEST_F(AdapterFolder, LayersToTransformAbsentMeansAll) {
  set("layers_to_transform", "absent");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layers 1,2"), HasSubstr("all 3")));
  write_adapter(folder(), small_adapter(3));
  set("layers_to_transform", "absent");
  expect_same(read_adapter(folder(), small_model()), small_adapter(3));
  set("layers_to_transform", "null");
  expect_same(read_adapter(folder(), small_model()), small_adapter(3));
}

TEST_F(AdapterFolder, AnEmptyListOfLayersMeansAll) {
  write_adapter(folder(), small_adapter(3));
  set("layers_to_transform", "[]");
  expect_same(read_adapter(folder(), small_model()), small_adapter(3));
}

TEST_F(AdapterFolder, OneLayerMayStandAsANumber) {
  write_adapter(folder(), small_adapter(1));
  set("layers_to_transform", "2");
  expect_same(read_adapter(folder(), small_model()), small_adapter(1));
}

TEST_F(AdapterFolder, ConfigAndTensorsMustAgree) {
  set("layers_to_transform", "[0, 1, 2]");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("1,2"), HasSubstr("0,1,2")));
  set("layers_to_transform", "[1, 2]");
  set("target_modules", R"(["q_proj", "v_proj"])");
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("q_proj,v_proj,down_proj"), HasSubstr("says q_proj,v_proj")));
}

TEST_F(AdapterFolder, APatternOfTargetsIsLeftToTheTensors) {
  set("target_modules", R"json(".*(self_attn|mlp).*(q_proj|v_proj|down_proj)")json");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

// Which layers they mean stands in their text, not in layers_to_transform.
TEST_F(AdapterFolder, TargetsThatNameLayersAreThoseOfTheTensors) {
  set("layers_to_transform", "absent");
  for (const char* targets :
       {R"json("model\\.layers\\.[12]\\..*(q_proj|v_proj|down_proj)")json",
        R"(["layers.1.self_attn.q_proj", "layers.2.self_attn.q_proj", "v_proj", "down_proj"])"}) {
    set("target_modules", targets);
    expect_same(read_adapter(folder(), small_model()), small_adapter());
  }
  set("target_modules", R"(["self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj"])");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layers 1,2"), HasSubstr("all 3")));
}

TEST_F(AdapterFolder, ARankOtherThanTheTensorsIsRefusedWithBothShapes) {
  set("r", "4");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("(2, 6)"), HasSubstr("(4, 6)")));
}

TEST_F(AdapterFolder, AnotherModelsAdapterIsRefused) {
  ModelConfig wider = small_model();
  wider.hidden_size = 12;
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), wider); }),
              AllOf(HasSubstr("(2, 6)"), HasSubstr("(2, 12)")));
  ModelConfig deeper = small_model();
  deeper.layers = 4;
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), deeper); }),
              AllOf(HasSubstr("1,2"), HasSubstr("last N of the model's 4")));
  ModelConfig shallower = small_model();
  shallower.layers = 2;
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_adapter(folder(), shallower); }),
              AllOf(HasSubstr("layer 2"), HasSubstr("0 to 1")));
}

TEST_F(AdapterFolder, AGapInTheLayersIsRefused) {
  rename("layers.1.", "layers.0.");
  set("layers_to_transform", "[0, 2]");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("0,2"), HasSubstr("last N")));
}

TEST_F(AdapterFolder, AHalfWithoutTheOtherIsRefused) {
  rename("1.self_attn.v_proj.lora_A", "1.self_attn.o_proj.lora_A");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("v_proj.lora_B"), HasSubstr("no lora_A")));
}

TEST_F(AdapterFolder, ALayerWithOtherTargetsThanTheRestIsRefused) {
  rename("1.self_attn.v_proj", "1.self_attn.k_proj");
  set("target_modules", R"(["q_proj", "k_proj", "v_proj", "down_proj"])");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("6 pairs"), HasSubstr("make 8")));
}

TEST_F(AdapterFolder, ATensorThatIsNoProjectionsIsRefused) {
  rename("self_attn.q_proj", "self_attn.x_proj");
  EXPECT_THAT(refusal(), HasSubstr("x_proj"));
}

TEST_F(AdapterFolder, UnsupportedSettingsAreRefusedByName) {
  const std::vector<std::pair<const char*, const char*>> settings{
      {"peft_type", R"("LOHA")"},
      {"use_dora", "true"},
      {"bias", R"("all")"},
      {"use_bdlora", R"({"nblocks": 2})"},
      {"use_something_new", "true"},
      {"lora_bias", "true"},
      {"layers_pattern", R"(["h"])"},
      {"layers_pattern", R"("blocks")"},
      {"rank_pattern", R"({"q_proj": 0})"},
      {"rank_pattern", R"({"q_proj": "8"})"},
      {"rank_pattern", "[8]"},
      {"alpha_pattern", R"({"q_proj|v_proj": 8})"},
      {"alpha_pattern", R"({"q_proj": -1})"},
      {"modules_to_save", R"(["lm_head"])"},
      {"fan_in_fan_out", "true"},
      {"init_lora_weights", R"("pissa_niter_4")"},
      {"init_lora_weights", R"("lora_ga")"},
      {"arrow_config", R"({"top_k": 3})"},
      {"target_modules", R"(["lm_head"])"},
      {"target_modules", "3"},
      {"layers_to_transform", R"(["a"])"},
      {"layers_to_transform", "[-1]"},
      {"r", "0"},
      {"r", "-1"},
      {"r", "9223372036854775807"},
      {"r", R"("8")"},
      {"lora_alpha", "0"},
      {"lora_alpha", "-1"},
      {"lora_alpha", "5e-324"},  // over a rank of 2 it is 0
      {"lora_alpha", "absent"}};
  const std::string good = read_file(config(), 1_MiB);
  for (const auto& [key, value] : settings) {
    set(key, value);
    const std::string_view named = std::string_view(key) == "target_modules" ? "target" : key;
    EXPECT_THAT(refusal(), AllOf(HasSubstr("adapter_config.json"), HasSubstr(std::string(named))));
    replace_file(config(), good);
  }
}

// lora_alpha alone is good; what it amounts to could be written, and then not read.
TEST_F(AdapterFolder, ARankStabilizedScaleWithoutAnAlphaIsRefused) {
  set("use_rslora", "true");
  set("lora_alpha", "9e8");
  EXPECT_THAT(refusal(), HasSubstr("gives the scale 636396103"));
}

TEST_F(AdapterFolder, RankStabilizedScaleIsTakenIntoAlpha) {
  set("use_rslora", "true");
  const Adapter adapter = read_adapter(folder(), small_model());
  EXPECT_DOUBLE_EQ(adapter.lora.scale(), 4 / std::sqrt(2.0));
}

TEST_F(AdapterFolder, ANonEmptyLayersPatternThatNamesLayersIsTaken) {
  for (const char* pattern : {"null", "[]", "\"\"", "\"layers\"", R"(["h", "layers"])"}) {
    set("layers_pattern", pattern);
    expect_same(read_adapter(folder(), small_model()), small_adapter());
  }
}

TEST_F(AdapterFolder, AnAlphaOfSomeModulesIsTheirsAlone) {
  set("alpha_pattern", R"({"model.layers.1.self_attn.v_proj": 9, "v_proj": 7, "proj": 1})");
  const AnyAdapter adapter = read_any_adapter(folder(), small_model());
  std::vector<double> alphas;
  for (const ScaledPair& pair : adapter.pairs) alphas.push_back(pair.alpha);
  // Layer 1: q, v, down; layer 2 the same. "proj" is the end of a name, but not of a module.
  EXPECT_THAT(alphas, ElementsAre(4, 9, 4, 4, 7, 4));
  EXPECT_DOUBLE_EQ(adapter.pairs[1].scale(), 4.5);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layer 1 q_proj has rank 2 and alpha 4"),
                               HasSubstr("layer 1 v_proj has 2 and 9")));
}

TEST_F(AdapterFolder, ACaretInAPatternStandsForTheStartOfTheName) {
  set("alpha_pattern", R"({"^layers.1.self_attn.v_proj": 9, "^model.layers.2.mlp.down_proj": 3})");
  const AnyAdapter adapter = read_any_adapter(folder(), small_model());
  EXPECT_EQ(adapter.pairs[1].alpha, 4);
  EXPECT_EQ(adapter.pairs[5].alpha, 3);
}

TEST_F(AdapterFolder, ARankOfSomeModulesMustBeThatOfTheirTensors) {
  set("rank_pattern", R"({"q_proj": 8})");
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("q_proj.lora_A"), HasSubstr("(2, 6)"), HasSubstr("(8, 6)")));
  set("r", "8");
  set("rank_pattern", R"({"q_proj": 2, "v_proj": 2, "mlp.down_proj": 2})");
  const AnyAdapter adapter = read_any_adapter(folder(), small_model());
  EXPECT_EQ(adapter.pairs[0].rank, 2);
  EXPECT_EQ(adapter.pairs[0].scale(), 2);
}

TEST_F(AdapterFolder, RanksOfAnExpressionAreThoseOfTheTensors) {
  set("r", "64");
  set("rank_pattern", R"json({".*\\.(q|v|down)_proj": 2})json");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

TEST_F(AdapterFolder, RankStabilizedScaleIsThatOfEachRank) {
  set("use_rslora", "true");
  set("alpha_pattern", R"({"v_proj": 10})");
  const AnyAdapter adapter = read_any_adapter(folder(), small_model());
  EXPECT_DOUBLE_EQ(adapter.pairs[0].scale(), 4 / std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(adapter.pairs[1].scale(), 10 / std::sqrt(2.0));
}

TEST_F(AdapterFolder, AnyLayersAndTargetsAreReadForOtherUsesThanTraining) {
  rename("layers.1.", "layers.0.");
  set("layers_to_transform", "[0, 2]");
  EXPECT_EQ(read_any_adapter(folder(), small_model()).pairs.front().pair.layer, 0);
  rename("0.self_attn.v_proj", "0.self_attn.k_proj");
  set("target_modules", R"(["q_proj", "k_proj", "v_proj", "down_proj"])");
  const AnyAdapter adapter = read_any_adapter(folder(), small_model());
  EXPECT_EQ(adapter.pairs[1].pair.projection, Projection::kK);
  EXPECT_EQ(adapter.pairs.size(), 6U);
}

TEST_F(AdapterFolder, ModulesMayBeExcluded) {
  set("target_modules", R"(["q_proj", "v_proj", "down_proj", "up_proj"])");
  EXPECT_THAT(refusal(), HasSubstr("up_proj"));
  set("exclude_modules", R"(["up_proj"])");
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

TEST_F(AdapterFolder, ValuesThatAreNotFiniteAreRefused) {
  std::string bytes = read_file(tensors(), 1_MiB);
  bytes.replace(bytes.size() - 4, 4, std::string("\0\0\xc0\x7f", 4));
  replace_file(tensors(), bytes);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("layers.2.mlp.down_proj.lora_B"), HasSubstr("finite")));
}

TEST_F(AdapterFolder, MissingFilesAreNamed) {
  fs::remove(config());
  EXPECT_THAT(refusal(), HasSubstr("adapter_config.json"));
  fs::remove(tensors());
  EXPECT_THAT(refusal(), HasSubstr("adapter_model.safetensors"));
  replace_file(folder() / "adapter_model.bin", "x");
  EXPECT_THAT(refusal(), HasSubstr("safe_serialization"));
}

TEST_F(AdapterFolder, ARankThatCannotBeIsNotWritten) {
  Adapter adapter = small_adapter();
  adapter.lora.rank = 0;
  message_of(ErrorKind::kUsage, [&] { write_adapter(folder(), adapter); });
  adapter.lora.rank = 5;  // does not divide the values
  message_of(ErrorKind::kBadInput, [&] { write_adapter(folder(), adapter); });
  expect_same(read_adapter(folder(), small_model()), small_adapter());
}

}  // namespace
}  // namespace loadline
