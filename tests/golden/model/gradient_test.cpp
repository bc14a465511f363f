// The whole step's gradient against differences of its own loss, and which parameters train.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "golden/model/golden_case.h"

namespace loadline::golden {
namespace {

class Gradient : public testing::TestWithParam<std::string> {
 protected:
  GoldenCase golden = read_case(GetParam());
  StepShape shape = shape_for(golden, DType::kF32, ActivationCheckpointing::kOff);
  std::unique_ptr<LoraModel> model = load_model(golden, shape);
  Batch batch = golden.steps[0].batch.view();

  // The loss after parameters [first, first + direction) were moved by `distance` along
  // `direction`.
  double loss_at(std::size_t first, const std::vector<float>& direction, double distance) {
    const auto part = model->parameters().subspan(first, direction.size());
    const std::vector<float> before(part.begin(), part.end());
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] += static_cast<float>(distance * direction[i]);
    }
    model->parameters_changed();
    const double loss = model->evaluate(batch).weighted;
    std::copy(before.begin(), before.end(), part.begin());
    model->parameters_changed();
    return loss;
  }

  // Along the gradient's own direction the derivative is the gradient's length.
  void expect_gradient_of(std::size_t first, std::size_t count, const std::string& what) {
    const auto gradient = model->gradients().subspan(first, count);
    double length = 0;
    for (const float g : gradient) length += static_cast<double>(g) * g;
    length = std::sqrt(length);
    ASSERT_GT(length, 1e-4) << what;
    std::vector<float> direction(gradient.begin(), gradient.end());
    for (float& d : direction) d = static_cast<float>(d / length);
    const double h = 2e-3;
    const double slope = (loss_at(first, direction, h) - loss_at(first, direction, -h)) / (2 * h);
    EXPECT_NEAR(slope, length, 0.01 * length + 2e-3) << what;
  }
};

TEST_P(Gradient, OfEachAAndBIsTheLossesSlope) {
  model->forward_backward(batch);
  std::size_t first = 0;
  for (const LoraPair& pair : golden.before.pairs) {
    const std::string name =
        "layer " + std::to_string(pair.layer) + " " + std::string(name_of(pair.projection));
    expect_gradient_of(first, pair.a.size(), name + " A");
    expect_gradient_of(first + pair.a.size(), pair.b.size(), name + " B");
    first += pair.a.size() + pair.b.size();
  }
  EXPECT_EQ(first, model->parameters().size());
}

TEST_P(Gradient, OnlyTheTargetsOfTheLastLayersTrainAndAllOfThemDo) {
  const std::vector<float> start(model->parameters().begin(), model->parameters().end());
  for (std::size_t step = 0; step < 2; ++step) run_step(*model, golden, step);
  const Adapter after = model->adapter();
  std::set<std::pair<std::int64_t, Projection>> trained;
  for (std::size_t i = 0; i < after.pairs.size(); ++i) {
    trained.insert({after.pairs[i].layer, after.pairs[i].projection});
    EXPECT_NE(after.pairs[i].a, golden.before.pairs[i].a);
    EXPECT_NE(after.pairs[i].b, golden.before.pairs[i].b);
  }
  std::set<std::pair<std::int64_t, Projection>> wanted;
  const LoraSettings& lora = golden.before.lora;
  for (std::int64_t layer = golden.config.layers - lora.layers; layer < golden.config.layers;
       ++layer) {
    for (const Projection projection : lora.targets) wanted.insert({layer, projection});
  }
  EXPECT_EQ(trained, wanted);
  // With the first adapter put back the loss is the first one to the last bit: the base is frozen.
  std::copy(start.begin(), start.end(), model->parameters().begin());
  model->parameters_changed();
  EXPECT_EQ(model->evaluate(batch).cross_entropy,
            load_model(golden, shape)->evaluate(batch).cross_entropy);
}

INSTANTIATE_TEST_SUITE_P(Families, Gradient, testing::ValuesIn(case_names()),
                         [](const auto& param_info) { return param_info.param; });

}  // namespace
}  // namespace loadline::golden
