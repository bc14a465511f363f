#include "model/lora_model.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "kernels/gemm.h"
#include "unit/model/counted_allocations.h"

namespace loadline {
namespace {

// Weights are zero: what is tested here does not depend on them.
class LoraModelTest : public testing::Test {
 protected:
  static ModelConfig config() {
    ModelConfig model;
    model.model_type = "llama";
    model.vocab_size = 60;
    model.hidden_size = 32;
    model.intermediate_size = 48;
    model.layers = 3;
    model.heads = 4;
    model.kv_heads = 2;
    model.head_dim = 8;
    model.max_positions = 64;
    model.tied_embeddings = true;
    return model;
  }
  static LoraSettings lora() {
    return {.rank = 4, .alpha = 8, .layers = 2, .targets = parse_targets("all", {})};
  }
  static StepShape shape(DType compute) {
    return {.tokens = 40, .rows = 2, .longest_row = 30, .compute = compute, .threads = 1};
  }
  // The first `tokens` tokens as one row.
  Batch batch(std::size_t tokens) {
    starts_ = {0, static_cast<std::int32_t>(tokens)};
    return {.ids = std::span(ids_).first(tokens),
            .row_starts = starts_,
            .targets = std::span(targets_).first(tokens),
            .coefficients = std::span(coefficients_).first(tokens)};
  }
  std::vector<std::int32_t> ids_ = std::vector<std::int32_t>(64, 7);
  std::vector<std::int32_t> targets_ = std::vector<std::int32_t>(64, 9);
  std::vector<float> coefficients_ = std::vector<float>(64, 1.0F);
  std::array<std::int32_t, 2> starts_{};
};

// oneDNN keeps a call's arguments in small containers until the call returns; nothing else may be
// asked of the heap, and nothing may stay.
TEST_F(LoraModelTest, AStepAllocatesNothingAfterWarmUp) {
  constexpr std::pair<DType, bool> kWays[] = {
      {DType::kF32, false}, {DType::kBf16, false}, {DType::kBf16, true}};
  for (const auto& [compute, widen] : kWays) {
    if (compute == DType::kBf16 && !widen && !bf16_is_supported()) continue;
    StepShape step = shape(compute);
    step.widen = widen;
    LoraModel model(config(), lora(), step);
    model.initialize_adapter(3);
    model.warm_up();
    const std::size_t products = model.compiled_products();
    const std::int64_t living = allocations().living;
    forget_largest_allocation();
    const auto some_steps = [&] {
      for (const std::size_t tokens : {2U, 30U, 17U, 1U}) {
        model.zero_gradients();
        model.forward_backward(batch(tokens));
        model.update({.learning_rate = 1e-3F}, 1.0F);
        model.evaluate(batch(tokens));
        model.evaluate_base(batch(tokens));
      }
    };
    some_steps();
    EXPECT_EQ(allocations().living, living);
    // malloc counts what a thread freed and keeps at hand: that of oneDNN's calls is there by now.
    const std::size_t heap = mallinfo2().uordblks;
    some_steps();
    EXPECT_EQ(allocations().living, living);
    EXPECT_LE(allocations().largest, 256U);
    EXPECT_EQ(mallinfo2().uordblks, heap);
    EXPECT_EQ(model.compiled_products(), products);
  }
}

// A last panel of few words makes the widest result of all: 64 words times the whole hidden size.
TEST_F(LoraModelTest, WidenedProductsHaveRoomForANarrowLastPanelOfWords) {
  ModelConfig model = config();
  model.vocab_size = 1024 + 64;
  model.hidden_size = 2048;
  model.intermediate_size = 2048;
  model.layers = 1;
  model.heads = 16;
  model.kv_heads = 8;
  model.head_dim = 128;
  LoraSettings few = lora();
  few.layers = 1;
  StepShape step = shape(DType::kBf16);
  step.tokens = step.longest_row = 64;
  step.widen = true;
  LoraModel wide(model, few, step);
  EXPECT_NO_THROW(wide.forward_backward(batch(60)));
}

// The gradients of all pairs in one batch of 600 tokens, more than a block: those of gate and up do
// not fit the scratch together.
std::vector<float> gradients_of(const ModelConfig& config, StepShape step) {
  constexpr std::int64_t kTokens = 600;
  step.tokens = step.longest_row = kTokens;
  step.rows = 1;
  const LoraSettings lora{.rank = 4, .alpha = 8, .layers = 2, .targets = projections_of(config)};
  LoraModel model(config, lora, step);
  model.generate_weights(1);
  model.initialize_adapter(3);
  for (float& parameter : model.parameters()) parameter += 0.05F;
  std::vector<std::int32_t> ids(kTokens);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int32_t>(i * 7 % 60);
  const std::array<std::int32_t, 2> starts = {0, kTokens};
  const std::vector<float> coefficients(kTokens, 1.0F / kTokens);
  model.forward_backward(
      {.ids = ids, .row_starts = starts, .targets = ids, .coefficients = coefficients});
  return {model.gradients().begin(), model.gradients().end()};
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double away = 0;
  double length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    away += std::pow(static_cast<double>(a[i]) - b[i], 2);
    length += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(away / length);
}

TEST_F(LoraModelTest, GradientsOfWidenedProductsAreThoseOfTheCpusOwn) {
  if (!bf16_is_supported()) GTEST_SKIP() << "no bf16";
  ModelConfig fused = config();
  fused.fused_projections = true;
  ModelConfig norms_after = config();
  norms_after.qk_norm = QkNorm::kWhole;
  norms_after.output_norms = true;
  norms_after.input_norms = false;
  for (ModelConfig model : {config(), fused, norms_after}) {
    model.max_positions = 1024;
    model.intermediate_size = 96;
    StepShape step = shape(DType::kBf16);
    step.widen = false;
    const std::vector<float> wanted = gradients_of(model, step);
    step.widen = true;
    const std::vector<float> got = gradients_of(model, step);
    // Weights are small here: a norm of what a layer adds makes their products' rounding large.
    EXPECT_LT(distance(got, wanted), model.output_norms ? 0.03 : 0.005) << model.fused_projections;
  }
}

TEST_F(LoraModelTest, WithoutAnyRopeNoTableIsPlannedAndTheStepRuns) {
  ModelConfig model = config();
  model.turned_layers = {false, false, false};
  const StepPlan plan = plan_step(model, lora(), shape(DType::kF32));
  EXPECT_EQ(plan.memory.buffer(plan.rope_cos).bytes, Bytes{});
  EXPECT_EQ(plan.memory.buffer(plan.rope_sin).bytes, Bytes{});
  LoraModel unturned(model, lora(), shape(DType::kF32));
  unturned.generate_weights(1);
  unturned.initialize_adapter(3);
  const double without = unturned.forward_backward(batch(30)).cross_entropy;
  EXPECT_TRUE(std::isfinite(without));
  EXPECT_EQ(without, unturned.evaluate(batch(30)).cross_entropy);
}

TEST_F(LoraModelTest, TheBaseAloneIsEvaluatedWithoutTheAdapterAndWithoutTouchingIt) {
  for (const bool widen : {false, true}) {
    StepShape step = shape(widen ? DType::kBf16 : DType::kF32);
    step.widen = widen;
    LoraModel model(config(), lora(), step);
    model.generate_weights(1);
    model.initialize_adapter(3);
    const double base = model.evaluate_base(batch(30)).cross_entropy;
    EXPECT_EQ(base, model.evaluate(batch(30)).cross_entropy);
    for (float& parameter : model.parameters()) parameter += 0.05F;
    model.parameters_changed();
    const double adapted = model.evaluate(batch(30)).cross_entropy;
    EXPECT_NE(adapted, base);
    EXPECT_EQ(model.evaluate_base(batch(30)).cross_entropy, base);
    EXPECT_EQ(model.evaluate(batch(30)).cross_entropy, adapted);
  }
}

TEST_F(LoraModelTest, WarmUpLeavesAdapterAndGradientsAsTheyWere) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  model.initialize_adapter(3);
  std::vector<float> gradients(model.gradients().size(), 0.25F);
  std::copy(gradients.begin(), gradients.end(), model.gradients().begin());
  const std::vector<float> parameters(model.parameters().begin(), model.parameters().end());
  model.warm_up();
  EXPECT_TRUE(std::equal(gradients.begin(), gradients.end(), model.gradients().begin()));
  EXPECT_TRUE(std::equal(parameters.begin(), parameters.end(), model.parameters().begin()));
}

TEST_F(LoraModelTest, AnAdapterIsAFunctionOfItsSeedAlone) {
  LoraModel first(config(), lora(), shape(DType::kF32));
  LoraModel second(config(), lora(), shape(DType::kF32));
  first.initialize_adapter(42);
  second.initialize_adapter(42);
  const Adapter a = first.adapter();
  EXPECT_EQ(a.pairs[5].a, second.adapter().pairs[5].a);
  second.initialize_adapter(43);
  EXPECT_NE(a.pairs[5].a, second.adapter().pairs[5].a);
  for (const LoraPair& pair : a.pairs) {
    const auto in = static_cast<float>(shape_of(config(), pair.projection).in);
    float largest = 0;
    for (const float value : pair.a) largest = std::max(largest, std::abs(value));
    EXPECT_LE(largest, 1.0F / std::sqrt(in));
    EXPECT_GT(largest, 0.8F / std::sqrt(in));
    for (const float value : pair.b) EXPECT_EQ(value, 0.0F);
  }
}

TEST_F(LoraModelTest, AnAdapterComesBackAsItWasGiven) {
  LoraModel from(config(), lora(), shape(DType::kF32));
  from.initialize_adapter(5);
  from.parameters().back() = 0.5F;
  LoraModel to(config(), lora(), shape(DType::kF32));
  to.load_adapter(from.adapter());
  EXPECT_TRUE(std::equal(from.parameters().begin(), from.parameters().end(),
                         to.parameters().begin(), to.parameters().end()));
}

TEST_F(LoraModelTest, AnotherAdapterIsRefusedWithBothValues) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  const auto message = [&](const Adapter& adapter) -> std::string {
    try {
      model.load_adapter(adapter);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return error.what();
    }
    return "";
  };
  Adapter adapter = model.adapter();
  adapter.lora.rank = 6;
  EXPECT_NE(message(adapter).find("rank is 6 but this run's is 4"), std::string::npos);
  adapter = model.adapter();
  adapter.lora.targets.pop_back();
  EXPECT_NE(message(adapter).find("list of targets"), std::string::npos);
  adapter = model.adapter();
  adapter.pairs[2].b.pop_back();
  EXPECT_NE(message(adapter).find("elements"), std::string::npos);
}

TEST_F(LoraModelTest, ABatchBeyondTheStepsShapeIsALogicError) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  EXPECT_THROW(model.evaluate(batch(41)), std::logic_error);
  EXPECT_THROW(model.evaluate(batch(31)), std::logic_error);
  EXPECT_THROW(model.evaluate(batch(0)), std::logic_error);
  targets_[1] = 60;
  EXPECT_THROW(model.evaluate(batch(3)), std::logic_error);
}

TEST_F(LoraModelTest, ATokenOutsideTheVocabularyIsBadInput) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  ids_[1] = 60;
  EXPECT_THROW(model.evaluate(batch(3)), Error);
  ids_[1] = -1;
  EXPECT_THROW(model.evaluate(batch(3)), Error);
}

TEST_F(LoraModelTest, ZeroWeightsPredictEveryTokenAlike) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  targets_[0] = -1;
  const BatchLoss loss = model.evaluate(batch(10));
  EXPECT_EQ(loss.targets, 9);
  EXPECT_NEAR(loss.cross_entropy, 9 * std::log(60.0), 1e-4);
}

TEST_F(LoraModelTest, ABatchThatPredictsNothingHasNoLossAndNoGradient) {
  LoraModel model(config(), lora(), shape(DType::kF32));
  model.initialize_adapter(1);
  targets_.assign(64, -1);
  const BatchLoss loss = model.forward_backward(batch(10));
  EXPECT_EQ(loss.targets, 0);
  EXPECT_EQ(loss.weighted, 0.0);
  for (const float gradient : model.gradients()) EXPECT_EQ(gradient, 0.0F);
}

}  // namespace
}  // namespace loadline
