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

}  // namespace
}  // namespace loadline
