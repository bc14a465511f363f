#include "kernels/swiglu.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

double swiglu(double gate, double up) { return gate / (1 + std::exp(-gate)) * up; }

class SwigluTest : public testing::TestWithParam<DType> {
 protected:
  Matrix gate_ = Matrix::random(70, 301, 1, GetParam(), 3, 4);
  Matrix up_ = Matrix::random(70, 301, 2, GetParam(), 5);
  Matrix dout_ = Matrix::random(70, 301, 3, GetParam(), 1);
};

TEST_P(SwigluTest, ForwardIsTheGatedProduct) {
  gate_.set(0, 0, 200);
  gate_.set(0, 1, -200);
  Matrix out(70, 301, GetParam(), 2);
  swiglu_forward(gate_.view(), up_.view(), out.view());
  Matrix wanted(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) wanted.set(t, i, swiglu(gate_.get(t, i), up_.get(t, i)));
  }
  EXPECT_LE(distance(out, wanted), tolerance(GetParam()));
  EXPECT_TRUE(out.gaps_untouched());
}

TEST_P(SwigluTest, BackwardIsTheFiniteDifferenceOfTheDefinitionAlsoInPlace) {
  constexpr double kStep = 1e-5;
  Matrix dgate(70, 301);
  Matrix dup(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) {
      const double g = gate_.get(t, i);
      const double u = up_.get(t, i);
      const double d = dout_.get(t, i) / (2 * kStep);
      dgate.set(t, i, d * (swiglu(g + kStep, u) - swiglu(g - kStep, u)));
      dup.set(t, i, d * (swiglu(g, u + kStep) - swiglu(g, u - kStep)));
    }
  }
  Matrix apart_gate(70, 301, GetParam(), 2);
  Matrix apart_up(70, 301, GetParam());
  swiglu_backward(dout_.view(), gate_.view(), up_.view(), apart_gate.view(), apart_up.view());
  EXPECT_LE(distance(apart_gate, dgate), tolerance(GetParam()));
  EXPECT_LE(distance(apart_up, dup), tolerance(GetParam()));
  swiglu_backward(dout_.view(), gate_.view(), up_.view(), gate_.view(), up_.view());
  EXPECT_EQ(distance(gate_, apart_gate), 0);
  EXPECT_EQ(distance(up_, apart_up), 0);
}

INSTANTIATE_TEST_SUITE_P(Types, SwigluTest, testing::Values(DType::kF32, DType::kBf16));

TEST(SwigluFailureTest, MixedTypesAndShapesAreRefused) {
  Matrix f32(2, 3);
  Matrix bf16(2, 3, DType::kBf16);
  Matrix wide(2, 4);
  EXPECT_THROW(swiglu_forward(f32.view(), bf16.view(), f32.view()), std::logic_error);
  EXPECT_THROW(swiglu_forward(f32.view(), f32.view(), wide.view()), std::logic_error);
}

}  // namespace
}  // namespace loadline
