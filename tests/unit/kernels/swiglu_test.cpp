// SwiGLU and GeGLU: one kernel, two activations.
#include "kernels/swiglu.h"

#include <gtest/gtest.h>

#include <limits>
#include <numbers>
#include <stdexcept>
#include <string>

#include "kernels/geglu.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

double silu(double x) { return x / (1 + std::exp(-x)); }
double gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

struct Unit {
  std::string name;
  DType dtype;
  decltype(&swiglu_forward) forward;
  decltype(&swiglu_backward) backward;
  double (*activation)(double);
};

class GatedUnitTest : public testing::TestWithParam<Unit> {
 protected:
  static DType dtype() { return GetParam().dtype; }
  static double defined(double gate, double up) { return GetParam().activation(gate) * up; }

  Matrix gate_ = Matrix::random(70, 301, 1, dtype(), 3, 4);
  Matrix up_ = Matrix::random(70, 301, 2, dtype(), 5);
  Matrix dout_ = Matrix::random(70, 301, 3, dtype(), 1);
};

TEST_P(GatedUnitTest, ForwardIsTheGatedProduct) {
  gate_.set(0, 0, 200);
  gate_.set(0, 1, -200);
  Matrix out(70, 301, dtype(), 2);
  GetParam().forward(gate_.view(), up_.view(), out.view());
  Matrix wanted(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) {
      wanted.set(t, i, defined(gate_.get(t, i), up_.get(t, i)));
    }
  }
  EXPECT_LE(distance(out, wanted), tolerance(dtype()));
  EXPECT_TRUE(out.gaps_untouched());
}

TEST_P(GatedUnitTest, BackwardIsTheFiniteDifferenceOfTheDefinitionAlsoInPlace) {
  constexpr double kStep = 1e-5;
  Matrix dgate(70, 301);
  Matrix dup(70, 301);
  for (std::int64_t t = 0; t < 70; ++t) {
    for (std::int64_t i = 0; i < 301; ++i) {
      const double g = gate_.get(t, i);
      const double u = up_.get(t, i);
      const double d = dout_.get(t, i) / (2 * kStep);
      dgate.set(t, i, d * (defined(g + kStep, u) - defined(g - kStep, u)));
      dup.set(t, i, d * (defined(g, u + kStep) - defined(g, u - kStep)));
    }
  }
  Matrix apart_gate(70, 301, dtype(), 2);
  Matrix apart_up(70, 301, dtype());
  const auto backward = GetParam().backward;
  backward(dout_.view(), gate_.view(), up_.view(), apart_gate.view(), apart_up.view());
  EXPECT_LE(distance(apart_gate, dgate), tolerance(dtype()));
  EXPECT_LE(distance(apart_up, dup), tolerance(dtype()));
  backward(dout_.view(), gate_.view(), up_.view(), gate_.view(), up_.view());
  EXPECT_EQ(distance(gate_, apart_gate), 0);
  EXPECT_EQ(distance(up_, apart_up), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Units, GatedUnitTest,
    testing::Values(Unit{"Swiglu", DType::kF32, swiglu_forward, swiglu_backward, silu},
                    Unit{"SwigluBf16", DType::kBf16, swiglu_forward, swiglu_backward, silu},
                    Unit{"Geglu", DType::kF32, geglu_forward, geglu_backward, gelu},
                    Unit{"GegluBf16", DType::kBf16, geglu_forward, geglu_backward, gelu}),
    [](const auto& unit) { return unit.param.name; });

TEST(GatedUnitFailureTest, MixedTypesAndShapesAreRefused) {
  Matrix f32(2, 3);
  Matrix bf16(2, 3, DType::kBf16);
  Matrix wide(2, 4);
  EXPECT_THROW(swiglu_forward(f32.view(), bf16.view(), f32.view()), std::logic_error);
  EXPECT_THROW(geglu_forward(f32.view(), f32.view(), wide.view()), std::logic_error);
}

}  // namespace
}  // namespace loadline
