#include "kernels/exponential.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace loadline {
namespace {

TEST(ExponentialTest, IsWithinTwoUnitsInTheLastPlace) {
  for (double at = -87.2; at < 88.6; at += 0.00137) {
    const auto x = static_cast<float>(at);
    const double wanted = std::exp(static_cast<double>(x));
    ASSERT_NEAR(static_cast<double>(exponential(x)), wanted, wanted * 2.4e-7) << "x = " << x;
  }
  EXPECT_EQ(exponential(0.0F), 1.0F);
  EXPECT_EQ(exponential(-0.0F), 1.0F);
}

TEST(ExponentialTest, EndsAreZeroAndInfinityAndNotANumberStays) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(exponential(-kInfinity), 0.0F);
  EXPECT_EQ(exponential(-1000.0F), 0.0F);
  EXPECT_EQ(exponential(1000.0F), kInfinity);
  EXPECT_EQ(exponential(kInfinity), kInfinity);
  EXPECT_TRUE(std::isnan(exponential(std::numeric_limits<float>::quiet_NaN())));
}

TEST(HyperbolicTangentTest, IsWithinFourUnitsInTheLastPlace) {
  for (double at = -12; at < 12; at += 0.000937) {
    const auto x = static_cast<float>(at);
    const double wanted = std::tanh(static_cast<double>(x));
    ASSERT_NEAR(static_cast<double>(hyperbolic_tangent(x)), wanted, std::abs(wanted) * 4.8e-7)
        << "x = " << x;
  }
  EXPECT_EQ(hyperbolic_tangent(0.0F), 0.0F);
  EXPECT_NEAR(static_cast<double>(hyperbolic_tangent(1e-20F)), 1e-20, 1e-26);
}

TEST(HyperbolicTangentTest, EndsAreOneAndNotANumberStays) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float x : {kInfinity, 1e30F, 50.0F}) {
    EXPECT_EQ(hyperbolic_tangent(x), 1.0F);
    EXPECT_EQ(hyperbolic_tangent(-x), -1.0F);
  }
  EXPECT_TRUE(std::isnan(hyperbolic_tangent(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace loadline
