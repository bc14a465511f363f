#include "training/distrust.h"

#include <gtest/gtest.h>

#include <vector>

namespace loadline {
namespace {

PackedRow row_with(float authority, float entropy) {
  PackedRow row;
  row.has_provenance = true;
  row.provenance = {authority, entropy};
  return row;
}

double mean_of(const std::vector<PackedRow>& rows, const DistrustSettings& settings) {
  DistrustMean mean;
  for (const PackedRow& row : rows) mean.add(row, settings);
  return mean.value();
}

std::vector<float> weights_of(const std::vector<PackedRow>& rows) {
  const double mean = mean_of(rows, {.mode = DistrustMode::kWeighted});
  std::vector<float> weights;
  for (const PackedRow& row : rows) weights.push_back(distrust_weight(row, mean));
  return weights;
}

TEST(Distrust, TermHasThePublishedValues) {
  EXPECT_NEAR(distrust_term({.75F, 1.5F}, 2.7), 0.03, 0.006);
  EXPECT_NEAR(distrust_term({.90F, 1.0F}, 2.7), 4.6, 0.05);
  EXPECT_NEAR(distrust_term({.99F, 0.0F}, 2.7), 57, 0.5);
  EXPECT_NEAR(distrust_term({.05F, 7.5F}, 2.7), 150, 1.0);
  EXPECT_NEAR(distrust_term({0.0F, 2.0F}, 2.3), 9.2, 1e-6);
}

TEST(Distrust, TermIsNotMonotoneButTheScoreIs) {
  EXPECT_LT(distrust_term({.75F, 1.5F}, 2.7), distrust_term({.99F, 0.0F}, 2.7));
  EXPECT_LT(distrust_term({.75F, 1.5F}, 2.7), distrust_term({.05F, 7.5F}, 2.7));
  EXPECT_GT(distrust_score({.1F, 3.0F}), distrust_score({.5F, 3.0F}));
  EXPECT_GT(distrust_score({.5F, 4.0F}), distrust_score({.5F, 3.0F}));
  EXPECT_EQ(distrust_score({.99F, 0.0F}), 0.0) << "never negative";
}

TEST(Distrust, MeanIsOverTheRowsThatCarryTheFields) {
  const DistrustSettings additive{.mode = DistrustMode::kAdditive, .alpha = 2.0};
  EXPECT_NEAR(mean_of({row_with(0, 1), PackedRow{}, row_with(0, 3)}, additive), 2.0 * (1 + 9) / 2,
              1e-6);
  EXPECT_EQ(mean_of({PackedRow{}}, additive), 0.0);
}

TEST(Distrust, WeightsAreScoresOverTheirMean) {
  const std::vector<float> weights = weights_of({row_with(0, 1), row_with(0, 3)});
  EXPECT_NEAR(weights[0], 0.5, 1e-6);
  EXPECT_NEAR(weights[1], 1.5, 1e-6);
}

TEST(Distrust, WeightsAreClippedOnBothSides) {
  std::vector<PackedRow> rows(30, row_with(.99F, 0));
  rows.push_back(row_with(0, 8));
  const std::vector<float> weights = weights_of(rows);
  EXPECT_FLOAT_EQ(weights.front(), 0.1F);
  EXPECT_FLOAT_EQ(weights.back(), 10.0F);
}

TEST(Distrust, RowsWithoutTheFieldsWeighOne) {
  const std::vector<float> weights = weights_of({row_with(0, 1), PackedRow{}, row_with(0, 3)});
  EXPECT_FLOAT_EQ(weights[1], 1.0F);
  EXPECT_NEAR(weights[2], 1.5, 1e-6) << "and are not in the mean";
}

TEST(Distrust, AMeanOfZeroWeighsAllOne) {
  const std::vector<float> weights = weights_of({row_with(.99F, 0), row_with(.9F, 1)});
  EXPECT_FLOAT_EQ(weights[0], 1.0F);
  EXPECT_FLOAT_EQ(weights[1], 1.0F);
}

}  // namespace
}  // namespace loadline
