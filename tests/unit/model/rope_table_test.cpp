#include "model/rope_table.h"

#include <gtest/gtest.h>

namespace loadline {
namespace {

TEST(RopeTables, WindowedLayersHaveAFactorOfTheirOwn) {
  ModelConfig model;
  model.head_dim = 4;
  model.rope_theta = 100;
  model.rope_factor = 2;
  model.rope_local_theta = 10000;
  model.rope_local_factor = 8;
  const std::vector<Rope> ropes = ropes_of(model, 1);
  ASSERT_EQ(ropes.size(), 2U);
  EXPECT_EQ(ropes[0].frequencies, (std::vector<double>{0.5, 0.05}));
  EXPECT_EQ(ropes[1].frequencies, (std::vector<double>{0.125, 0.00125}));
}

TEST(RopeTables, ThereIsNoneWhereNoLayerHasARope) {
  ModelConfig model;
  model.head_dim = 4;
  model.turned_layers = {false, true};
  EXPECT_EQ(ropes_of(model, 1).size(), 1U);
  model.turned_layers = {false, false};
  EXPECT_TRUE(ropes_of(model, 1).empty());
}

}  // namespace
}  // namespace loadline
