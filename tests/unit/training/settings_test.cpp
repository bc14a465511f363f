#include "training/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "base/json.h"

namespace loadline {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ModelConfig model() {
  ModelConfig config;
  config.layers = 6;
  config.hidden_size = 192;
  return config;
}

TrainingSettings good() {
  TrainingSettings s;
  s.model = "model";
  s.train_rows = "train.packed";
  s.adapter_path = "adapters";
  s.lora = {.rank = 8, .alpha = 16, .layers = 4, .targets = {Projection::kQ, Projection::kV}};
  return s;
}

// The message with which `change` of good settings is refused; "" when it is not.
std::string refusal(const std::function<void(TrainingSettings&)>& change) {
  TrainingSettings s = good();
  change(s);
  try {
    validate(s, model());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(Settings, GoodOnesPass) {
  EXPECT_EQ(refusal([](TrainingSettings&) {}), "");
}

TEST(Settings, RefusalsNameFlagValueAndRange) {
  EXPECT_THAT(refusal([](auto& s) { s.batch_size = 0; }),
              AllOf(HasSubstr("--batch-size 0"), HasSubstr("between 1 and")));
  EXPECT_THAT(refusal([](auto& s) { s.lora.rank = 0; }), HasSubstr("--lora-rank 0"));
  EXPECT_THAT(refusal([](auto& s) { s.lora.layers = 7; }),
              AllOf(HasSubstr("--lora-layers 7"), HasSubstr("6 layers")));
  EXPECT_THAT(refusal([](auto& s) { s.lora.alpha = 0; }), HasSubstr("--lora-alpha 0"));
  for (const double alpha : {1e-10, 1e10}) {
    EXPECT_THAT(refusal([&](auto& s) { s.lora.alpha = alpha; }),
                HasSubstr("must be between 1e-09 and 1000000000"))
        << "an adapter with it could not be read";
  }
  EXPECT_THAT(refusal([](auto& s) { s.lora.targets.clear(); }), HasSubstr("--target-modules"));
  EXPECT_THAT(refusal([](auto& s) { s.max_steps = 0; }), HasSubstr("--max-steps 0"));
  EXPECT_THAT(refusal([](auto& s) { s.max_seq_length = 1; }), HasSubstr("--max-seq-length 1"));
  EXPECT_THAT(refusal([](auto& s) { s.eval_batches = -1; }), HasSubstr("--val-batches -1"));
  EXPECT_THAT(refusal([](auto& s) { s.grad_accumulation_steps = -1; }),
              HasSubstr("--grad-accumulation-steps -1"));
  EXPECT_THAT(refusal([](auto& s) { s.weight_decay = -0.1; }), HasSubstr("--weight-decay -0.1"));
  EXPECT_THAT(refusal([](auto& s) { s.max_grad_norm = -1; }), HasSubstr("--max-grad-norm -1"));
  EXPECT_THAT(refusal([](auto& s) { s.distrust.alpha = 2.2; }),
              AllOf(HasSubstr("--distrust-alpha 2.2"), HasSubstr("between 2.3 and 3")));
  EXPECT_THAT(refusal([](auto& s) { s.distrust.lambda = -1; }), HasSubstr("--distrust-lambda -1"));
  EXPECT_THAT(refusal([](auto& s) { s.threads = 0; }), HasSubstr("--threads 0"));
  EXPECT_THAT(refusal([](auto& s) { s.compute = DType::kF16; }), HasSubstr("--compute-dtype f16"));
  EXPECT_THAT(refusal([](auto& s) { s.save_every = -1; }), HasSubstr("--save-every -1"));
}

TEST(Settings, NotANumberIsRefusedEverywhere) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_NE(refusal([&](auto& s) { s.learning_rate = nan; }), "");
  EXPECT_NE(refusal([&](auto& s) { s.weight_decay = nan; }), "");
  EXPECT_NE(refusal([&](auto& s) { s.max_grad_norm = nan; }), "");
  EXPECT_NE(refusal([&](auto& s) { s.distrust.alpha = nan; }), "");
  EXPECT_NE(refusal([&](auto& s) { s.distrust.lambda = nan; }), "");
  EXPECT_NE(refusal([&](auto& s) { s.lora.alpha = nan; }), "");
  EXPECT_NE(refusal([](auto& s) { s.learning_rate = std::numeric_limits<double>::infinity(); }),
            "");
}

TEST(Settings, WarmUpLongerThanTheRunIsRefusedButNotInATrial) {
  const auto longer = [](TrainingSettings& s) {
    s.max_steps = 15;
    s.warmup_steps = 100;
  };
  EXPECT_THAT(refusal(longer), HasSubstr("--warmup-steps 100"));
  EXPECT_EQ(refusal([&](TrainingSettings& s) {
              longer(s);
              s.order = RowOrder::kWorstFirst;
            }),
            "");
}

TEST(Settings, ResumingAndStartingFromAnAdapterContradict) {
  EXPECT_THAT(refusal([](auto& s) {
                s.resume = true;
                s.resume_adapter_file = "old";
              }),
              AllOf(HasSubstr("--resume "), HasSubstr("--resume-adapter-file old")));
}

TEST(Settings, JsonRoundTripIsExact) {
  TrainingSettings s = good();
  s.valid_rows = "valid.packed";
  s.resume_adapter_file = "other/adapter";
  s.batch_size = 17;
  s.grad_accumulation_steps = 3;
  s.max_steps = 5000;
  s.lora.alpha = 0.1;
  s.compute = DType::kBf16;
  s.checkpointing = ActivationCheckpointing::kOn;
  s.threads = 2;
  s.learning_rate = 1.0 / 3.0;
  s.warmup_steps = 11;
  s.schedule = LearningRateSchedule::kLinear;
  s.weight_decay = 1e-300;
  s.max_grad_norm = 0;
  s.distrust = {.mode = DistrustMode::kWeighted, .alpha = 2.31, .lambda = 0.7};
  s.lora.dropout = 0.05;
  s.test_rows = "test.packed";
  s.lora_plus_ratio = 16;
  s.keep_checkpoints = 5;
  s.trunk_cache = true;
  s.seed = std::numeric_limits<std::uint64_t>::max();
  s.order = RowOrder::kWorstFirst;
  s.enough_seconds = 2.5;
  s.generated_weights = true;
  s.steps_per_report = 1;
  s.steps_per_eval = 2;
  s.eval_batches = 3;
  s.save_every = 4;
  s.resume = true;
  const Json once = to_json(s);
  const TrainingSettings back = training_settings_from_json(parse_json(once.dump(), "x"), "x");
  EXPECT_EQ(to_json(back), once);
  EXPECT_EQ(back.learning_rate, s.learning_rate);
  EXPECT_EQ(back.seed, s.seed);
  EXPECT_EQ(back.lora.targets, s.lora.targets);
  EXPECT_EQ(back.valid_rows, s.valid_rows);
  EXPECT_EQ(back.enough_seconds, 2.5);
  EXPECT_TRUE(back.generated_weights);
}

std::string reading_refusal(const std::function<void(Json&)>& change) {
  Json document = to_json(good());
  change(document);
  try {
    training_settings_from_json(document, "spec.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(Settings, ReadingRefusesWhatItDoesNotKnow) {
  EXPECT_EQ(reading_refusal([](Json&) {}), "");
  EXPECT_THAT(reading_refusal([](Json& j) { j["learning_rat"] = 1; }),
              AllOf(HasSubstr("spec.json"), HasSubstr("learning_rat")));
  EXPECT_THAT(reading_refusal([](Json& j) { j.erase("seed"); }), HasSubstr("seed"));
  EXPECT_THAT(reading_refusal([](Json& j) { j["distrust"] = "both"; }),
              AllOf(HasSubstr("both"), HasSubstr("off, additive, weighted")));
  EXPECT_THAT(reading_refusal([](Json& j) { j["target_modules"] = "x_proj"; }),
              HasSubstr("target_modules"));
  EXPECT_THAT(reading_refusal([](Json& j) { j["schema_version"] = 2; }),
              HasSubstr("schema_version 2"));
  EXPECT_THAT(reading_refusal([](Json& j) { j["seed"] = -1; }), HasSubstr("seed"));
  EXPECT_THAT(reading_refusal([](Json& j) { j["threads"] = 1LL << 40; }), HasSubstr("threads"));
  EXPECT_THAT(reading_refusal([](Json& j) { j = Json::array(); }), HasSubstr("object"));
}

}  // namespace
}  // namespace loadline
