#include "kernels/dropout.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

class Dropout : public testing::TestWithParam<DType> {};

TEST_P(Dropout, DropsTheShareThatWasAskedForAndScalesTheRest) {
  Matrix x(400, 303, GetParam());
  for (std::int64_t t = 0; t < 400; ++t) {
    for (std::int64_t i = 0; i < 303; ++i) x.set(t, i, 1);
  }
  Matrix y(400, 303, GetParam(), 5);
  dropout_forward({.key = 7, .rate = 0.25}, x.view(), y.view());
  int dropped = 0;
  int pairs = 0;
  for (std::int64_t t = 0; t < 400; ++t) {
    for (std::int64_t i = 0; i < 303; ++i) {
      const bool gone = y.get(t, i) == 0;
      ASSERT_NEAR(y.get(t, i), gone ? 0 : 4.0 / 3, 4e-3);
      dropped += gone ? 1 : 0;
      pairs += gone && i > 0 && y.get(t, i - 1) == 0 ? 1 : 0;
    }
  }
  // Standard deviations: 150 of 30300, and about 90 of 7550.
  EXPECT_NEAR(dropped, 30300, 900);
  EXPECT_NEAR(pairs, 7550, 600) << "neighbours are dropped independently";
  EXPECT_TRUE(y.gaps_untouched());
}

TEST_P(Dropout, TheBackwardHasTheForwardsMaskAndAnotherKeyAnotherOne) {
  const Matrix ones = [] {
    Matrix made(70, 301, GetParam());
    for (std::int64_t t = 0; t < 70; ++t) {
      for (std::int64_t i = 0; i < 301; ++i) made.set(t, i, 1);
    }
    return made;
  }();
  Matrix dy = ones;
  Matrix y(70, 301, GetParam());
  Matrix dx(70, 301, GetParam());
  Matrix other(70, 301, GetParam());
  dropout_forward({.key = 7, .rate = 0.5}, dy.view(), y.view());
  dropout_backward({.key = 7, .rate = 0.5}, dy.view(), dx.view());
  dropout_forward({.key = 8, .rate = 0.5}, dy.view(), other.view());
  int same = 0;
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) {
      ASSERT_EQ(y.get(t, i), dx.get(t, i));
      same += y.get(t, i) == other.get(t, i) ? 1 : 0;
    }
  }
  EXPECT_NEAR(same, 70 * 301 / 2, 500);
  dropout_backward({.key = 7, .rate = 0.5}, dy.view(), dx.view());
  EXPECT_EQ(dx.get(3, 3), 2 * y.get(3, 3)) << "it adds";
}

TEST_P(Dropout, WhatCannotBeIsRefused) {
  Matrix x(2, 3, GetParam());
  Matrix narrow(2, 2, GetParam());
  EXPECT_THROW(dropout_forward({.key = 1, .rate = 1}, x.view(), x.view()), std::logic_error);
  EXPECT_THROW(dropout_forward({.key = 1, .rate = 0.1}, x.view(), narrow.view()), std::logic_error);
}

INSTANTIATE_TEST_SUITE_P(Types, Dropout, testing::Values(DType::kF32, DType::kBf16));

}  // namespace
}  // namespace loadline
