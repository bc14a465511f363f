// A small adapter and its model: every width differs, so that a swapped shape cannot pass.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "checkpoint/adapter.h"

namespace loadline {

inline ModelConfig small_model() {
  ModelConfig model;
  model.model_type = "llama";
  model.vocab_size = 50;
  model.hidden_size = 6;
  model.intermediate_size = 10;
  model.layers = 3;
  model.heads = 4;
  model.kv_heads = 2;
  model.head_dim = 2;
  return model;
}

inline Adapter small_adapter(std::int64_t layers = 2) {
  const ModelConfig model = small_model();
  Adapter adapter;
  adapter.lora = {.rank = 2,
                  .alpha = 4,
                  .layers = layers,
                  .targets = {Projection::kQ, Projection::kV, Projection::kDown}};
  adapter.base_model = "org/name";
  float next = 0.25F;
  for (std::int64_t layer = model.layers - layers; layer < model.layers; ++layer) {
    for (const Projection target : adapter.lora.targets) {
      const ProjectionShape shape = shape_of(model, target);
      LoraPair pair{.layer = layer, .projection = target, .a = {}, .b = {}};
      for (std::int64_t i = 0; i < 2 * shape.in; ++i) pair.a.push_back(next += 1);
      for (std::int64_t i = 0; i < 2 * shape.out; ++i) pair.b.push_back(next += 1);
      adapter.pairs.push_back(std::move(pair));
    }
  }
  return adapter;
}

inline void expect_same(const Adapter& read, const Adapter& written) {
  EXPECT_EQ(read.lora.rank, written.lora.rank);
  EXPECT_EQ(read.lora.alpha, written.lora.alpha);
  EXPECT_EQ(read.lora.layers, written.lora.layers);
  EXPECT_EQ(read.lora.targets, written.lora.targets);
  EXPECT_EQ(read.base_model, written.base_model);
  ASSERT_EQ(read.pairs.size(), written.pairs.size());
  for (std::size_t i = 0; i < read.pairs.size(); ++i) {
    EXPECT_EQ(read.pairs[i].layer, written.pairs[i].layer);
    EXPECT_EQ(read.pairs[i].projection, written.pairs[i].projection);
    EXPECT_EQ(read.pairs[i].a, written.pairs[i].a);
    EXPECT_EQ(read.pairs[i].b, written.pairs[i].b);
  }
}

}  // namespace loadline
