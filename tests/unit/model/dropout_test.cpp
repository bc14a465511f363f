// LoRA dropout in the whole model: the gradient is that of the masked loss, and the mask is made
// again where a forward is run again.
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

#include "checkpoint/weights.h"
#include "model/lora_model.h"

namespace loadline {
namespace {

const char* const kModel = LOADLINE_SOURCE_DIR "/demo/model";

class LoraDropout : public testing::Test {
 protected:
  LoraDropout() {
    for (std::int32_t t = 0; t < 24; ++t) {
      ids_.push_back(260 + 37 * t % 900);
      targets_.push_back(t % 12 == 11 ? -1 : 300 + 53 * t % 900);
      coefficients_.push_back(t % 12 == 11 ? 0.0F : 1.0F / 22);
    }
  }
  static std::unique_ptr<LoraModel> model(double dropout, ActivationCheckpointing checkpointing) {
    const ModelConfig config = read_config(kModel);
    const LoraSettings lora{.rank = 3,
                            .alpha = 6,
                            .layers = 2,
                            .targets = parse_targets("all", config),
                            .dropout = dropout};
    auto made = std::make_unique<LoraModel>(
        config, lora,
        StepShape{.tokens = 24, .rows = 2, .longest_row = 12, .checkpointing = checkpointing});
    made->load_weights(WeightFiles(kModel));
    made->initialize_adapter(5);
    std::mt19937 bits(9);
    std::normal_distribution<float> normal(0, 0.05F);
    for (float& value : made->parameters()) value += normal(bits);  // B is zero otherwise
    made->parameters_changed();
    return made;
  }
  Batch batch(std::uint64_t seed) {
    return {.ids = ids_,
            .row_starts = starts_,
            .targets = targets_,
            .coefficients = coefficients_,
            .dropout_seed = seed};
  }
  std::vector<float> gradient(LoraModel& model, std::uint64_t seed) {
    model.zero_gradients();
    model.forward_backward(batch(seed));
    return {model.gradients().begin(), model.gradients().end()};
  }
  std::vector<std::int32_t> ids_, targets_;
  std::vector<float> coefficients_;
  std::array<std::int32_t, 3> starts_{0, 12, 24};
};

TEST_F(LoraDropout, TheGradientIsThatOfTheMaskedLoss) {
  const auto with = model(0.4, ActivationCheckpointing::kOff);
  const std::vector<float> g = gradient(*with, 77);
  std::mt19937 bits(3);
  std::normal_distribution<float> normal;
  for (int direction = 0; direction < 3; ++direction) {
    std::vector<float> d(g.size());
    double along = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      d[i] = normal(bits);
      along += static_cast<double>(g[i]) * static_cast<double>(d[i]);
    }
    const auto loss_at = [&](float distance) {
      for (std::size_t i = 0; i < d.size(); ++i) with->parameters()[i] += distance * d[i];
      with->parameters_changed();
      const double loss = with->forward_backward(batch(77)).weighted;
      for (std::size_t i = 0; i < d.size(); ++i) with->parameters()[i] -= distance * d[i];
      return loss;
    };
    constexpr float kStep = 1e-3F;
    const double slope = (loss_at(kStep) - loss_at(-kStep)) / (2 * static_cast<double>(kStep));
    EXPECT_NEAR(slope, along, 2e-2 * std::abs(along) + 2e-3);
  }
}

TEST_F(LoraDropout, RecomputedLayersDropTheSame) {
  const std::vector<float> kept = gradient(*model(0.4, ActivationCheckpointing::kOff), 77);
  const std::vector<float> again = gradient(*model(0.4, ActivationCheckpointing::kOn), 77);
  EXPECT_EQ(kept, again);
}

TEST_F(LoraDropout, UpdatesDifferByTheirSeedAndEvaluationsDropNothing) {
  const auto with = model(0.4, ActivationCheckpointing::kOff);
  const auto without = model(0, ActivationCheckpointing::kOff);
  EXPECT_NE(gradient(*with, 1), gradient(*with, 2));
  EXPECT_EQ(gradient(*without, 1), gradient(*without, 2));
  EXPECT_EQ(with->evaluate(batch(1)).cross_entropy, without->evaluate(batch(2)).cross_entropy);
  EXPECT_GT(with->plan().total().bytes, without->plan().total().bytes);
}

}  // namespace
}  // namespace loadline
