#include "checkpoint/config.h"

#include "base/json.h"
#include "unit/checkpoint/hostile_files.h"

namespace loadline {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A small model's configuration with `changes` over it; a change to "absent" removes the key.
Json document(std::string_view type, std::string_view changes = "{}") {
  Json json = parse_json(R"({"vocab_size": 1000, "hidden_size": 64, "intermediate_size": 96,
      "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
      "hidden_act": "silu", "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
      "rope_theta": 500000, "bos_token_id": 1, "eos_token_id": 2})",
                         "base");
  json["model_type"] = type;
  const Json patch = parse_json(changes, "changes");
  for (const auto& item : patch.items()) {
    if (item.value() == "absent") {
      json.erase(item.key());
    } else {
      json[item.key()] = item.value();
    }
  }
  return json;
}

ModelConfig parsed(std::string_view type, std::string_view changes = "{}") {
  return parse_config(document(type, changes), "config.json");
}

std::string refusal(std::string_view type, std::string_view changes) {
  return message_of(ErrorKind::kBadInput, [&] { parsed(type, changes); });
}

TEST(ModelConfig, ReadsTheDemoModel) {
  const ModelConfig config = read_config(LOADLINE_SOURCE_DIR "/demo/model");
  EXPECT_EQ(config.model_type, "llama");
  EXPECT_EQ(config.vocab_size, 2048);
  EXPECT_EQ(config.hidden_size, 192);
  EXPECT_EQ(config.intermediate_size, 512);
  EXPECT_EQ(config.layers, 6);
  EXPECT_EQ(config.heads, 6);
  EXPECT_EQ(config.kv_heads, 2);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_EQ(config.kv_width(), 64);
  EXPECT_DOUBLE_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_DOUBLE_EQ(config.rope_theta, 10000);
  EXPECT_FALSE(config.rope_llama3.has_value());
  EXPECT_EQ(config.max_positions, 1024);
  EXPECT_FALSE(config.qkv_bias);
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(config.bos_id, 1);
  EXPECT_THAT(config.eos_ids, ElementsAre(2));
}

TEST(ModelConfig, AnyOtherModelTypeIsAnErrorThatListsTheSupported) {
  EXPECT_THAT(refusal("gpt2", "{}"),
              AllOf(HasSubstr("gpt2"), HasSubstr("llama, mistral, qwen2, qwen3, phi3, gemma2, "
                                                 "gemma3_text, granite, smollm3 and olmo2")));
  EXPECT_THAT(refusal("llama", R"({"model_type": "absent"})"), HasSubstr("model_type"));
}

TEST(ModelConfig, TakesTheFamilysDefaultsForAbsentKeys) {
  const char* bare = R"({"num_key_value_heads": "absent", "max_position_embeddings": "absent",
      "rope_theta": "absent", "rms_norm_eps": "absent", "bos_token_id": "absent",
      "eos_token_id": "absent", "hidden_act": "absent", "num_attention_heads": 32})";
  const ModelConfig llama = parsed("llama", bare);
  EXPECT_EQ(llama.kv_heads, 32);
  EXPECT_EQ(llama.max_positions, 2048);
  EXPECT_DOUBLE_EQ(llama.rope_theta, 10000);
  EXPECT_DOUBLE_EQ(llama.rms_norm_eps, 1e-6);
  EXPECT_EQ(llama.bos_id, 1);
  EXPECT_EQ(parsed("mistral", bare).kv_heads, 8);
  EXPECT_EQ(parsed("mistral", bare).sliding_window, 4096);
  const ModelConfig qwen2 = parsed("qwen2", bare);
  EXPECT_EQ(qwen2.max_positions, 32768);
  EXPECT_EQ(qwen2.bos_id, -1);
  EXPECT_THAT(qwen2.eos_ids, IsEmpty());
}

TEST(ModelConfig, HeadDimIsHiddenOverHeadsUnlessGiven) {
  EXPECT_EQ(parsed("llama").head_dim, 8);
  EXPECT_EQ(parsed("llama", R"({"head_dim": null})").head_dim, 8);
  const ModelConfig wide = parsed("llama", R"({"head_dim": 32})");
  EXPECT_EQ(wide.q_width(), 256);
  EXPECT_EQ(wide.kv_width(), 64);
}

TEST(ModelConfig, LlamaAttentionBiasReachesQueryKeyValueAndOutput) {
  const ModelConfig config = parsed("llama", R"({"attention_bias": true, "mlp_bias": true})");
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.o_bias);
  EXPECT_TRUE(config.mlp_bias);
}

TEST(ModelConfig, Qwen2BiasesQueryKeyValueOnly) {
  const ModelConfig config = parsed("qwen2");
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.o_bias);
  EXPECT_FALSE(config.mlp_bias);
}

TEST(ModelConfig, MistralSlidingWindowIsTakenAndNullTurnsItOff) {
  EXPECT_EQ(parsed("mistral", R"({"sliding_window": 128})").sliding_window, 128);
  EXPECT_EQ(parsed("mistral", R"({"sliding_window": null})").sliding_window, 0);
  EXPECT_EQ(parsed("mistral", R"({"sliding_window": 512})").sliding_window, 0)
      << "a window as wide as the context is none";
  EXPECT_THAT(refusal("mistral", R"({"sliding_window": 0})"), HasSubstr("sliding_window"));
}

TEST(ModelConfig, Qwen2SlidingWindowNeedsItsSwitch) {
  EXPECT_EQ(parsed("qwen2", R"({"sliding_window": 128})").sliding_window, 0);
  const char* on = R"({"use_sliding_window": true, "sliding_window": 128, "max_window_layers": 0})";
  EXPECT_EQ(parsed("qwen2", on).sliding_window, 128);
  const char* above = R"({"use_sliding_window": true, "sliding_window": 128,
                          "max_window_layers": 4})";
  EXPECT_EQ(parsed("qwen2", above).sliding_window, 0);
  const ModelConfig mixed = parsed("qwen2", R"({"use_sliding_window": true, "sliding_window": 128,
                                                "max_window_layers": 3})");
  EXPECT_EQ(mixed.window_of(2), 0);
  EXPECT_EQ(mixed.window_of(3), 128);
}

TEST(ModelConfig, LayerTypesDecideWhereTheyStand) {
  const char* full = R"({"sliding_window": 128, "layer_types": ["full_attention",
      "full_attention", "full_attention", "full_attention"]})";
  EXPECT_EQ(parsed("mistral", full).sliding_window, 0);
  const char* mixed = R"({"sliding_window": 128, "layer_types": ["full_attention",
      "sliding_attention", "full_attention", "sliding_attention"]})";
  EXPECT_EQ(parsed("mistral", mixed).windowed, (std::vector<bool>{false, true, false, true}));
  EXPECT_THAT(refusal("mistral", R"({"sliding_window": 128, "layer_types": ["full_attention"]})"),
              HasSubstr("layer_types"));
}

TEST(ModelConfig, RopeScalingMayBeNullDefaultOrLlama3) {
  EXPECT_FALSE(parsed("llama", R"({"rope_scaling": null})").rope_llama3.has_value());
  EXPECT_FALSE(parsed("llama", R"({"rope_scaling": {"type": "default"}})").rope_llama3.has_value());
  const ModelConfig config = parsed("llama", R"({"rope_scaling": {"rope_type": "llama3",
      "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
      "original_max_position_embeddings": 8192}})");
  ASSERT_TRUE(config.rope_llama3.has_value());
  EXPECT_DOUBLE_EQ(config.rope_llama3->factor, 32);
  EXPECT_EQ(config.rope_llama3->original_max_positions, 8192);
  EXPECT_DOUBLE_EQ(config.rope_theta, 500000);
}

TEST(ModelConfig, RopeParametersOfRecentTransformersWin) {
  const ModelConfig config = parsed("llama", R"({"rope_theta": "absent", "rope_parameters": {
      "rope_type": "default", "rope_theta": 12345.0}})");
  EXPECT_DOUBLE_EQ(config.rope_theta, 12345);
  EXPECT_TRUE(parsed("llama", R"({"rope_parameters": {"rope_type": "llama3", "factor": 8,
      "rope_theta": 500000, "low_freq_factor": 1, "high_freq_factor": 4,
      "original_max_position_embeddings": 8192}})")
                  .rope_llama3.has_value());
}

TEST(ModelConfig, AnyOtherRopeTypeIsAnErrorByName) {
  for (const char* type : {"yarn", "dynamic", "su"}) {
    const std::string old_style =
        fmt::format(R"({{"rope_scaling": {{"type": "{}", "factor": 4}}}})", type);
    EXPECT_THAT(refusal("llama", old_style), AllOf(HasSubstr(type), HasSubstr("llama3")));
    const std::string new_style =
        fmt::format(R"({{"rope_parameters": {{"rope_type": "{}", "factor": 4}}}})", type);
    EXPECT_THAT(refusal("llama", new_style), HasSubstr(type));
  }
  EXPECT_THAT(refusal("llama", R"({"partial_rotary_factor": 0.5})"), HasSubstr("partial"));
}

TEST(ModelConfig, Qwen3NormsHeadsOfASizeOfTheirOwn) {
  const ModelConfig config = parsed("qwen3");
  EXPECT_EQ(config.qk_norm, QkNorm::kHeads);
  EXPECT_EQ(config.head_dim, 128) << "what its class assumes, not hidden / heads";
  EXPECT_FALSE(config.qkv_bias || config.output_norms || config.norm_offset);
  EXPECT_EQ(parsed("qwen3", R"({"head_dim": 16})").q_width(), 128);
  EXPECT_TRUE(parsed("qwen3", R"({"attention_bias": true})").o_bias);
}

constexpr const char* kPhi3 = R"({"partial_rotary_factor": 0.5, "head_dim": 8,
    "original_max_position_embeddings": 64, "rope_scaling": {"type": "longrope",
    "short_factor": [1, 1.5], "long_factor": [2, 4]}})";

TEST(ModelConfig, Phi3IsFusedAndItsLongropeIsHonoured) {
  const ModelConfig config = parsed("phi3", kPhi3);
  EXPECT_TRUE(config.fused_projections);
  EXPECT_EQ(config.sliding_window, 0);
  EXPECT_EQ(config.rope_dim, 4);
  ASSERT_TRUE(config.rope_long.has_value());
  EXPECT_THAT(config.rope_long->short_factors, ElementsAre(1, 1.5));
  EXPECT_THAT(config.rope_long->long_factors, ElementsAre(2, 4));
  EXPECT_EQ(config.rope_long->original_max_positions, 64);
  // sqrt(1 + ln(512 / 64) / ln 64), and 8 is the root of 64.
  EXPECT_NEAR(config.rope_long->magnitude, std::sqrt(1.5), 1e-12);
  EXPECT_EQ(parsed("phi3", R"({"sliding_window": 47})").window_of(0), 47);
}

TEST(ModelConfig, LongropeWithoutItsListsOrContextIsRefused) {
  for (const char* scaling :
       {R"({"type": "longrope", "short_factor": [1, 1.5]})",
        R"({"type": "longrope", "short_factor": [1], "long_factor": [2]})",
        R"({"type": "longrope", "short_factor": [1, 0], "long_factor": [2, 4]})",
        R"({"type": "longrope", "short_factor": [1, "2"], "long_factor": [2, 4]})",
        R"({"type": "longrope", "short_factor": 1, "long_factor": [2, 4]})"}) {
    Json json = document("phi3", kPhi3);
    json["rope_scaling"] = parse_json(scaling, "scaling");
    EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { parse_config(json, "config.json"); }),
                HasSubstr("_factor"))
        << scaling;
  }
  for (const char* original : {"1", "513", "null", "-7"}) {
    Json json = document("phi3", kPhi3);
    json["original_max_position_embeddings"] = parse_json(original, "original");
    EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { parse_config(json, "config.json"); }),
                HasSubstr("original_max_position_embeddings"));
  }
  EXPECT_THAT(refusal("phi3", R"({"partial_rotary_factor": 0.1})"), HasSubstr("partial"));
}

constexpr const char* kGemma = R"({"hidden_act": "absent", "head_dim": "absent"})";

TEST(ModelConfig, Gemma2HasCapsOutputNormsAndAWindowInEverySecondLayer) {
  const ModelConfig config = parsed("gemma2", kGemma);
  EXPECT_TRUE(config.output_norms && config.norm_offset && config.tied_embeddings);
  EXPECT_EQ(config.activation, GateActivation::kGeluTanh);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_DOUBLE_EQ(config.embedding_scale, 8);
  EXPECT_DOUBLE_EQ(config.attention_scale, 1.0 / 16);
  EXPECT_DOUBLE_EQ(config.attention_softcap, 50);
  EXPECT_DOUBLE_EQ(config.logit_softcap, 30);
  const ModelConfig given = parsed("gemma2", R"({"sliding_window": 100,
      "attn_logit_softcapping": null, "final_logit_softcapping": 7.5, "query_pre_attn_scalar": 144,
      "tie_word_embeddings": false})");
  EXPECT_DOUBLE_EQ(given.attention_softcap, 0) << "null is none, not the default";
  EXPECT_DOUBLE_EQ(given.logit_softcap, 7.5);
  EXPECT_DOUBLE_EQ(given.attention_scale, 1.0 / 12);
  EXPECT_FALSE(given.tied_embeddings);
  EXPECT_EQ(given.windowed, (std::vector<bool>{true, false, true, false}));
  for (const char* bad :
       {R"({"final_logit_softcapping": -1})", R"({"final_logit_softcapping": 0})",
        R"({"final_logit_softcapping": "30"})", R"({"query_pre_attn_scalar": 0})"}) {
    EXPECT_THAT(refusal("gemma2", bad), AllOf(HasSubstr("'"), HasSubstr("config.json"))) << bad;
  }
  EXPECT_THAT(refusal("gemma2", R"({"hidden_activation": "relu"})"),
              AllOf(HasSubstr("relu"), HasSubstr("gelu_pytorch_tanh")));
}

TEST(ModelConfig, Gemma3HasARopeForItsWindowedLayers) {
  const ModelConfig config = parsed("gemma3_text", R"({"sliding_window": 100,
      "sliding_window_pattern": 3, "rope_theta": "absent", "rope_local_base_freq": 777,
      "rope_scaling": {"rope_type": "linear", "factor": 8}})");
  EXPECT_EQ(config.qk_norm, QkNorm::kHeads);
  EXPECT_TRUE(config.output_norms && config.input_norms);
  EXPECT_EQ(config.windowed, (std::vector<bool>{true, true, false, true}));
  EXPECT_DOUBLE_EQ(config.rope_theta, 1e6);
  EXPECT_DOUBLE_EQ(config.rope_local_theta, 777);
  EXPECT_DOUBLE_EQ(config.rope_factor, 8);
  EXPECT_DOUBLE_EQ(config.attention_softcap, 0);
  const ModelConfig recent = parsed("gemma3_text", R"({"rope_parameters": {"full_attention": {
      "rope_type": "default", "rope_theta": 5e5}, "sliding_attention": {"rope_theta": 4e4}}})");
  EXPECT_DOUBLE_EQ(recent.rope_theta, 5e5);
  EXPECT_DOUBLE_EQ(recent.rope_local_theta, 4e4);
  EXPECT_EQ(recent.window_of(0), 4096) << "wider than the context, and still a layer of that kind";
  EXPECT_THAT(refusal("gemma3_text", R"({"use_bidirectional_attention": true})"),
              HasSubstr("bidirectional"));
}

TEST(ModelConfig, TheRopeOfWindowedLayersIsScaledOrRefusedByName) {
  const auto windowed = [](const std::string& rope) {
    return R"({"rope_parameters": {"full_attention": {"rope_theta": 5e5}, "sliding_attention": )" +
           rope + "}}";
  };
  const ModelConfig config =
      parsed("gemma3_text", windowed(R"({"rope_type": "linear", "factor": 4, "rope_theta": 4e4})"));
  EXPECT_DOUBLE_EQ(config.rope_local_factor, 4);
  EXPECT_DOUBLE_EQ(config.rope_factor, 1);
  EXPECT_THAT(refusal("gemma3_text", windowed(R"({"rope_type": "yarn", "factor": 4})")),
              AllOf(HasSubstr("'yarn'"), HasSubstr("sliding_attention")));
  EXPECT_THAT(refusal("gemma3_text", windowed("7")), HasSubstr("sliding_attention"));
  EXPECT_THAT(refusal("gemma3_text", R"({"rope_scaling": {"type": "longrope",
      "short_factor": [1, 1, 1, 1], "long_factor": [2, 2, 2, 2],
      "original_max_position_embeddings": 64}, "head_dim": 8})"),
              AllOf(HasSubstr("'longrope'"), HasSubstr("gemma3_text")));
}

TEST(ModelConfig, ARopeForEachTypeOfLayerIsRefusedWhereTheFamilyHasOne) {
  EXPECT_THAT(refusal("qwen3", R"({"rope_theta": "absent", "rope_parameters": {
      "full_attention": {"rope_type": "default", "rope_theta": 1e6}}})"),
              AllOf(HasSubstr("full_attention"), HasSubstr("qwen3")));
}

TEST(ModelConfig, GraniteIsLlamaWithFourMultipliers) {
  const ModelConfig config = parsed("granite", R"({"embedding_multiplier": 12,
      "residual_multiplier": 0.25, "attention_multiplier": 0.015625, "logits_scaling": 8,
      "attention_bias": true})");
  EXPECT_DOUBLE_EQ(config.embedding_scale, 48) << "the stream is kept divided by the residual's";
  EXPECT_DOUBLE_EQ(config.rms_norm_eps, 1e-5 * 16);
  EXPECT_DOUBLE_EQ(config.attention_scale, 0.015625);
  EXPECT_DOUBLE_EQ(config.logit_scale, 0.125);
  EXPECT_TRUE(config.qkv_bias && config.o_bias);
  EXPECT_FALSE(config.rounds_embedding_scale || config.norm_offset || config.output_norms);
  const ModelConfig bare = parsed("granite", R"({"num_key_value_heads": "absent",
      "max_position_embeddings": "absent", "rms_norm_eps": "absent", "bos_token_id": "absent"})");
  EXPECT_DOUBLE_EQ(bare.attention_scale, 1) << "what its class assumes, not 1 / sqrt(head_dim)";
  EXPECT_DOUBLE_EQ(bare.embedding_scale, 1);
  EXPECT_DOUBLE_EQ(bare.logit_scale, 1);
  EXPECT_DOUBLE_EQ(bare.rms_norm_eps, 1e-6);
  EXPECT_EQ(bare.kv_heads, 8);
  EXPECT_EQ(bare.max_positions, 2048);
  EXPECT_EQ(bare.bos_id, 1);
  EXPECT_FALSE(bare.tied_embeddings || bare.mlp_bias);
}

TEST(ModelConfig, SmolLm3LeavesRopeOutOfEveryFourthLayer) {
  const ModelConfig config = parsed("smollm3", R"({"num_key_value_heads": "absent",
      "max_position_embeddings": "absent", "rope_theta": "absent", "bos_token_id": "absent",
      "eos_token_id": "absent", "vocab_size": 128256})");
  EXPECT_EQ(config.turned_layers, (std::vector<bool>{true, true, true, false}));
  EXPECT_TRUE(config.has_rope(2));
  EXPECT_FALSE(config.has_rope(3));
  EXPECT_EQ(config.kv_heads, 4);
  EXPECT_EQ(config.max_positions, 32768);
  EXPECT_DOUBLE_EQ(config.rope_theta, 2e6);
  EXPECT_EQ(config.bos_id, 128000);
  EXPECT_THAT(config.eos_ids, ElementsAre(128001));
  EXPECT_TRUE(config.tied_embeddings);
  EXPECT_EQ(config.sliding_window, 0);
  EXPECT_FALSE(config.qkv_bias || config.mlp_bias);
  EXPECT_EQ(parsed("smollm3", R"({"no_rope_layer_interval": 2})").turned_layers,
            (std::vector<bool>{true, false, true, false}));
  EXPECT_EQ(parsed("smollm3", R"({"no_rope_layers": [0, 1, 1, 0, 1]})").turned_layers,
            (std::vector<bool>{false, true, true, false}));
  EXPECT_TRUE(parsed("llama", R"({"no_rope_layers": [0, 0, 0, 0]})").has_rope(3));
}

TEST(ModelConfig, SmolLm3HasItsWindowInTheLayersWithoutRope) {
  const char* on = R"({"use_sliding_window": true, "sliding_window": 128})";
  EXPECT_EQ(parsed("smollm3", on).windowed, (std::vector<bool>{false, false, false, true}));
  EXPECT_EQ(parsed("smollm3", R"({"sliding_window": 128})").sliding_window, 0);
  EXPECT_EQ(parsed("smollm3", R"({"use_sliding_window": true})").sliding_window, 0);
  EXPECT_EQ(parsed("smollm3", R"({"use_sliding_window": true, "sliding_window": 128,
                                  "no_rope_layer_interval": 5})")
                .sliding_window,
            0);
  EXPECT_EQ(parsed("smollm3", R"({"use_sliding_window": true, "sliding_window": 128,
      "layer_types": ["sliding_attention", "full_attention", "full_attention",
      "full_attention"]})")
                .windowed,
            (std::vector<bool>{true, false, false, false}));
}

TEST(ModelConfig, LayersWithoutRopeThatNobodyCanCountAreRefused) {
  for (const char* flags : {"[1, 0, 1]", "[]", "7", "[1, 0, 1, 2]", "[1, 0, 1, -1]",
                            "[1, 0, 1, \"0\"]", "[1, 0, 1, [0]]", "{\"0\": 1}"}) {
    EXPECT_THAT(refusal("smollm3", fmt::format(R"({{"no_rope_layers": {}}})", flags)),
                HasSubstr("no_rope_layers"))
        << flags;
  }
  for (const char* interval : {"0", "-4", "2.5", "9223372036854775807"}) {
    EXPECT_THAT(refusal("smollm3", fmt::format(R"({{"no_rope_layer_interval": {}}})", interval)),
                HasSubstr("no_rope_layer_interval"))
        << interval;
  }
}

TEST(ModelConfig, Olmo2NormsWhatAttentionAndMlpAddAndNotWhatTheyRead) {
  const ModelConfig config = parsed("olmo2", R"({"num_key_value_heads": "absent",
      "max_position_embeddings": "absent", "rope_theta": "absent", "rms_norm_eps": "absent",
      "bos_token_id": "absent", "eos_token_id": "absent", "vocab_size": 50304})");
  EXPECT_TRUE(config.output_norms);
  EXPECT_FALSE(config.input_norms || config.norm_offset || config.qkv_bias || config.mlp_bias);
  EXPECT_EQ(config.qk_norm, QkNorm::kWhole);
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_EQ(config.max_positions, 2048);
  EXPECT_DOUBLE_EQ(config.rope_theta, 10000);
  EXPECT_DOUBLE_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.bos_id, -1);
  EXPECT_THAT(config.eos_ids, ElementsAre(50279));
  EXPECT_FALSE(config.tied_embeddings);
  const ModelConfig biased = parsed("olmo2", R"({"attention_bias": true, "mlp_bias": true})");
  EXPECT_TRUE(biased.qkv_bias && biased.o_bias);
  EXPECT_FALSE(biased.mlp_bias) << "its MLP has none";
  EXPECT_TRUE(parsed("llama").input_norms && parsed("gemma2", kGemma).input_norms);
}

TEST(ModelConfig, NoNumberOfKeyValueHeadsIsAsManyAsHeads) {
  for (const char* type : {"llama", "mistral", "qwen2", "smollm3"}) {
    EXPECT_EQ(parsed(type, R"({"num_key_value_heads": null, "num_attention_heads": 16})").kv_heads,
              16)
        << type;
  }
}

TEST(ModelConfig, AMultiplierThatWouldOverflowOrTurnSignsIsRefused) {
  for (const char* key :
       {"embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling"}) {
    for (const char* value : {"0", "-0.2", "1e-5", "10001", "1e300", "\"12\"", "true", "[1]"}) {
      EXPECT_THAT(refusal("granite", fmt::format(R"({{"{}": {}}})", key, value)), HasSubstr(key))
          << value;
    }
    EXPECT_DOUBLE_EQ(parsed("llama", fmt::format(R"({{"{}": 7}})", key)).embedding_scale, 1);
  }
}

TEST(ModelConfig, RefusesLlama3RopeThatWouldDivideByZero) {
  EXPECT_THAT(refusal("llama", R"({"rope_scaling": {"rope_type": "llama3", "factor": 8,
      "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 8192}})"),
              HasSubstr("high_freq_factor 4"));
}

TEST(ModelConfig, EndOfTextIsOneIdOrAList) {
  EXPECT_THAT(parsed("llama", R"({"eos_token_id": [7, 9]})").eos_ids, ElementsAre(7, 9));
  EXPECT_THAT(parsed("llama", R"({"eos_token_id": null})").eos_ids, IsEmpty());
  EXPECT_EQ(parsed("llama", R"({"bos_token_id": null})").bos_id, -1);
  for (const char* id : {"1000", "-1", "1.5", "\"2\"", "[3, 1000]", "18446744073709551615"}) {
    EXPECT_THAT(refusal("llama", fmt::format(R"({{"eos_token_id": {}}})", id)),
                HasSubstr("from 0 to 999"))
        << id;
  }
}

TEST(ModelConfig, RefusesCountsThatAreMissingOrImpossible) {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads"}) {
    EXPECT_THAT(refusal("llama", fmt::format(R"({{"{}": "absent"}})", key)), HasSubstr(key));
    for (const char* value :
         {"0", "-8", "9223372036854775807", "18446744073709551615", "8.0", "true", "[8]"}) {
      EXPECT_THAT(refusal("llama", fmt::format(R"({{"{}": {}}})", key, value)), HasSubstr(key))
          << value;
    }
  }
}

TEST(ModelConfig, RefusesHeadsThatDoNotDivide) {
  EXPECT_THAT(refusal("llama", R"({"num_key_value_heads": 3})"),
              AllOf(HasSubstr("8"), HasSubstr("3")));
  EXPECT_THAT(refusal("llama", R"({"num_attention_heads": 6})"),
              AllOf(HasSubstr("64"), HasSubstr("6")));
  EXPECT_THAT(refusal("llama", R"({"head_dim": 7})"), HasSubstr("even"));
  EXPECT_THAT(refusal("llama", R"({"head_dim": 1048576})"), HasSubstr("head_dim"));
}

TEST(ModelConfig, TheLargestAcceptedModelOverflowsNothing) {
  const ModelConfig config = parsed("llama", R"({"vocab_size": 16777216, "hidden_size": 1048576,
      "intermediate_size": 1048576, "num_hidden_layers": 4096, "num_attention_heads": 16384,
      "num_key_value_heads": 16384, "max_position_embeddings": 2147483648})");
  std::int64_t bytes = 64;
  EXPECT_FALSE(__builtin_mul_overflow(bytes, config.layers, &bytes));
  EXPECT_FALSE(__builtin_mul_overflow(bytes, config.hidden_size, &bytes));
  EXPECT_FALSE(__builtin_mul_overflow(bytes, config.intermediate_size, &bytes));
  bytes = 8;
  EXPECT_FALSE(__builtin_mul_overflow(bytes, config.max_positions, &bytes));
  EXPECT_FALSE(__builtin_mul_overflow(bytes, config.vocab_size, &bytes));
}

TEST(ModelConfig, RefusesWhatTheEngineDoesNotCompute) {
  EXPECT_THAT(refusal("llama", R"({"hidden_act": "gelu"})"),
              AllOf(HasSubstr("gelu"), HasSubstr("silu")));
  EXPECT_THAT(refusal("llama", R"({"rms_norm_eps": 0})"), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(refusal("llama", R"({"rope_theta": -1})"), HasSubstr("rope_theta"));
  EXPECT_THAT(refusal("llama", R"({"quantization_config": {"quant_method": "gptq"}})"),
              AllOf(HasSubstr("gptq"), HasSubstr("bf16")));
}

TEST(ModelConfig, NamesTheFolderThatHasNoConfig) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_config(folder.path()); }),
              AllOf(HasSubstr(folder.path().string()), HasSubstr("config.json")));
  EXPECT_THAT(message_of(ErrorKind::kBadInput, [&] { read_config(folder.path() / "no"); }),
              HasSubstr("no such folder"));
  message_of(ErrorKind::kBadInput, [] { parse_config(Json::array(), "config.json"); });
}

}  // namespace
}  // namespace loadline
