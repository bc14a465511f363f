#include "kernels/adamw.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/threads.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

std::vector<float> random_values(std::size_t count, std::uint32_t seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal;
  std::vector<float> made(count);
  for (auto& value : made) value = normal(bits);
  return made;
}

TEST(AdamWTest, FiveStepsFollowTheDefinition) {
  constexpr std::size_t kCount = 20001;
  auto parameter = random_values(kCount, 1);
  std::vector<double> wanted(parameter.begin(), parameter.end());
  std::vector<float> first(kCount);
  std::vector<float> second(kCount);
  std::vector<double> m(kCount);
  std::vector<double> v(kCount);
  for (std::int64_t step = 1; step <= 5; ++step) {
    const auto gradient = random_values(kCount, 10 + static_cast<std::uint32_t>(step));
    const AdamW settings{.learning_rate = 0.01F, .weight_decay = 0.1F, .step = step};
    adamw_update(settings, 0.5F, gradient, parameter, first, second);
    for (std::size_t i = 0; i < kCount; ++i) {
      const double g = 0.5 * static_cast<double>(gradient[i]);
      m[i] = 0.9 * m[i] + 0.1 * g;
      v[i] = 0.999 * v[i] + 0.001 * g * g;
      const double m_hat = m[i] / (1 - std::pow(0.9, static_cast<double>(step)));
      const double v_hat = v[i] / (1 - std::pow(0.999, static_cast<double>(step)));
      wanted[i] = wanted[i] * (1 - 0.01 * 0.1) - 0.01 * m_hat / (std::sqrt(v_hat) + 1e-8);
    }
  }
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_NEAR(static_cast<double>(parameter[i]), wanted[i], 2e-5);
  }
}

TEST(AdamWTest, SpansOfDifferentLengthsAndStepZeroAreRefused) {
  std::vector<float> four(4);
  std::vector<float> five(5);
  EXPECT_THROW(adamw_update({}, 1, five, four, four, four), std::logic_error);
  EXPECT_THROW(adamw_update({.step = 0}, 1, four, four, four, four), std::logic_error);
}

TEST(SquaredNormTest, IsTheSumOfSquaresForEveryLength) {
  for (const std::size_t count : {0U, 1U, 255U, 256U, 257U, 100000U}) {
    const auto x = random_values(count, 3);
    double wanted = 0;
    for (const float value : x) wanted += static_cast<double>(value) * static_cast<double>(value);
    EXPECT_NEAR(squared_norm(x), wanted, 1e-9 * (1 + wanted));
  }
}

TEST(SquaredNormTest, DoesNotDependOnTheThreads) {
  const auto x = random_values(123457, 4);
  const int before = threads();
  set_threads(1);
  const double one = squared_norm(x);
  set_threads(3);
  const double three = squared_norm(x);
  set_threads(before);
  EXPECT_EQ(one, three);
}

TEST(SquaredNormTest, IsNotFiniteWhenAnElementIsNot) {
  auto x = random_values(1000, 5);
  x[999] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(squared_norm(x)));
  x[999] = -std::numeric_limits<float>::infinity();
  EXPECT_FALSE(std::isfinite(squared_norm(x)));
}

}  // namespace
}  // namespace loadline
