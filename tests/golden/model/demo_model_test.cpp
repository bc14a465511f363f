// The demo model against the reference values that came with it (float32 on its bf16 weights).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/json.h"
#include "checkpoint/weights.h"
#include "golden/model/golden_case.h"

namespace loadline::golden {
namespace {

class DemoModel : public testing::Test {
 protected:
  static std::unique_ptr<LoraModel> load(DType compute) {
    const auto folder = source_folder() / "demo/model";
    const ModelConfig config = read_config(folder);
    const LoraSettings lora{
        .rank = 8, .alpha = 16, .layers = 2, .targets = {Projection::kQ, Projection::kV}};
    const StepShape shape{
        .tokens = 1024, .rows = 4, .longest_row = 900, .compute = compute, .threads = 1};
    auto model = std::make_unique<LoraModel>(config, lora, shape);
    model->load_weights(WeightFiles(folder));
    model->initialize_adapter(1);  // B is zero: the base model's own output
    return model;
  }
  const Json golden = read_json(source_folder() / "demo/golden.json");
  const Json rows = read_json(source_folder() / "tests/golden/model/data/demo_rows.json");
};

double mean_loss(LoraModel& model, const Json& row) {
  OwnedBatch batch;
  batch.add_row(row.at("ids").get<std::vector<std::int32_t>>());
  const BatchLoss loss = model.evaluate(batch.view());
  return loss.cross_entropy / static_cast<double>(loss.targets);
}

TEST_F(DemoModel, LossOfEachRowIsTheReferenceInFloat32) {
  const auto model = load(DType::kF32);
  ASSERT_EQ(rows.at("rows").size(), 10U);
  for (const Json& row : rows.at("rows")) {
    EXPECT_NEAR(mean_loss(*model, row), row.at("loss").get<double>(), 1e-4);
  }
}

TEST_F(DemoModel, LossOfEachRowIsWithinTwoPercentInBf16) {
  const auto model = load(DType::kBf16);
  for (const Json& row : rows.at("rows")) {
    const double want = row.at("loss").get<double>();
    EXPECT_NEAR(mean_loss(*model, row), want, 0.02 * want);
  }
}

TEST_F(DemoModel, RowsInOneBatchDoNotSeeEachOther) {
  const auto model = load(DType::kF32);
  OwnedBatch batch;
  double want = 0;
  for (const std::size_t row : {2, 4, 6, 3}) {
    const auto ids = rows.at("rows").at(row).at("ids").get<std::vector<std::int32_t>>();
    batch.add_row(ids);
    want += rows.at("rows").at(row).at("loss").get<double>() * static_cast<double>(ids.size() - 1);
  }
  EXPECT_NEAR(model->evaluate(batch.view()).cross_entropy, want, 1e-5 * want);
}

TEST_F(DemoModel, TopFiveLogitsAreTheReference) {
  const auto model = load(DType::kF32);
  OwnedBatch batch;
  batch.add_row(golden.at("logits").at("ids").get<std::vector<std::int32_t>>());
  std::vector<float> logits(2048);
  model->last_logits(batch.view(), logits);
  for (const Json& want : golden.at("logits").at("top5")) {
    const auto best = std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(best - logits.begin(), want.at("id").get<std::int64_t>());
    EXPECT_NEAR(*best, want.at("logit_f32").get<double>(), 1e-4);
    *best = -1e30F;
  }
}

TEST_F(DemoModel, GreedyContinuationIsTheReference) {
  const auto model = load(DType::kF32);
  auto ids = golden.at("greedy").at("prompt_ids").get<std::vector<std::int32_t>>();
  const auto want = golden.at("greedy").at("ids").get<std::vector<std::int32_t>>();
  std::vector<std::int32_t> got;
  std::vector<float> logits(2048);
  for (std::size_t i = 0; i < want.size(); ++i) {
    OwnedBatch batch;
    batch.add_row(ids);
    model->last_logits(batch.view(), logits);
    got.push_back(
        static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    ids.push_back(got.back());
  }
  EXPECT_EQ(got, want);
}

}  // namespace
}  // namespace loadline::golden
