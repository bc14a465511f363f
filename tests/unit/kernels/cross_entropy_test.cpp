#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/elementwise.h"
#include "unit/kernels/matrix.h"

namespace loadline {
namespace {

constexpr std::int64_t kTokens = 9;
constexpr std::int64_t kVocabulary = 2500;

std::vector<std::int32_t> targets() { return {0, 2499, -1, 17, 1024, -1, 1023, 5, 6}; }

double log_sum_exp(const Matrix& x, std::int64_t t) {
  double maximum = -1e300;
  for (std::int64_t i = 0; i < x.cols(); ++i) maximum = std::max(maximum, x.get(t, i));
  double sum = 0;
  for (std::int64_t i = 0; i < x.cols(); ++i) sum += std::exp(x.get(t, i) - maximum);
  return maximum + std::log(sum);
}

class CrossEntropyTest : public testing::Test {
 protected:
  void forward() { cross_entropy_forward(logits_.view(), targets_, losses_, log_sum_exp_); }

  Matrix logits_ = Matrix::random(kTokens, kVocabulary, 1, DType::kF32, 4, 5);
  std::vector<std::int32_t> targets_ = targets();
  std::vector<float> losses_ = std::vector<float>(kTokens);
  std::vector<float> log_sum_exp_ = std::vector<float>(kTokens);
  std::vector<float> coefficients_ = {1, 0.5F, 2, -1, 0.25F, 3, 1, 0, 7};
};

TEST_F(CrossEntropyTest, ForwardIsTheNegativeLogProbabilityAndZeroWithoutATarget) {
  forward();
  for (std::int64_t t = 0; t < kTokens; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const double wanted =
        targets_[at] < 0 ? 0 : log_sum_exp(logits_, t) - logits_.get(t, targets_[at]);
    EXPECT_NEAR(static_cast<double>(losses_[at]), wanted, 1e-5 * (1 + wanted));
  }
}

TEST_F(CrossEntropyTest, LargeLogitsDoNotOverflow) {
  logits_.set(0, 7, 30000);
  forward();
  EXPECT_NEAR(static_cast<double>(losses_[0]), 30000 - logits_.get(0, 0), 0.01);
}

TEST_F(CrossEntropyTest, ALogitThatIsNotANumberMakesTheLossNotANumber) {
  logits_.set(3, 2000, std::numeric_limits<double>::quiet_NaN());
  logits_.set(4, 2000, std::numeric_limits<double>::infinity());
  forward();
  EXPECT_FALSE(std::isfinite(losses_[3]));
  EXPECT_FALSE(std::isfinite(losses_[4]));
  EXPECT_TRUE(std::isfinite(losses_[6]));
}

TEST_F(CrossEntropyTest, BackwardIsTheFiniteDifferenceOfTheDefinition) {
  forward();
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    Matrix gradient(kTokens, kVocabulary, dtype, 1);
    cross_entropy_backward(logits_.view(), targets_, log_sum_exp_, coefficients_, gradient.view());
    for (const std::int64_t t : {0, 1, 2, 4}) {
      const auto at = static_cast<std::size_t>(t);
      const std::int64_t target = targets_[at];
      for (const std::int64_t i : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1024},
                                   std::max<std::int64_t>(target, 0)}) {
        Matrix moved = logits_;
        moved.set(t, i, logits_.get(t, i) + 0.03125);
        const double up = log_sum_exp(moved, t) - moved.get(t, std::max<std::int64_t>(target, 0));
        moved.set(t, i, logits_.get(t, i) - 0.03125);
        const double down = log_sum_exp(moved, t) - moved.get(t, std::max<std::int64_t>(target, 0));
        const double slope =
            target < 0 ? 0 : (up - down) / 0.0625 * static_cast<double>(coefficients_[at]);
        EXPECT_NEAR(gradient.get(t, i), slope, 2e-3) << "token " << t << " logit " << i;
      }
    }
    EXPECT_TRUE(gradient.gaps_untouched());
  }
}

TEST_F(CrossEntropyTest, BackwardIsSoftmaxMinusOneHotAlsoInPlace) {
  forward();
  Matrix wanted(kTokens, kVocabulary);
  for (std::int64_t t = 0; t < kTokens; ++t) {
    const auto at = static_cast<std::size_t>(t);
    if (targets_[at] < 0) continue;
    const double total = log_sum_exp(logits_, t);
    for (std::int64_t i = 0; i < kVocabulary; ++i) {
      const double onehot = i == targets_[at] ? 1 : 0;
      wanted.set(
          t, i,
          static_cast<double>(coefficients_[at]) * (std::exp(logits_.get(t, i) - total) - onehot));
    }
  }
  Matrix bf16(kTokens, kVocabulary, DType::kBf16, 1);
  cross_entropy_backward(logits_.view(), targets_, log_sum_exp_, coefficients_, bf16.view());
  EXPECT_LE(distance(bf16, wanted), tolerance(DType::kBf16));
  cross_entropy_backward(logits_.view(), targets_, log_sum_exp_, coefficients_, logits_.view());
  EXPECT_LE(distance(logits_, wanted), 1e-5);
}

TEST_F(CrossEntropyTest, CappedBackwardIsTheFiniteDifferenceByTheLogitsBeforeTheCap) {
  constexpr double kCap = 6;
  const Matrix raw = logits_;
  const auto capped_loss = [&](std::int64_t t, std::int64_t i, double by) {
    Matrix row(1, kVocabulary);
    for (std::int64_t j = 0; j < kVocabulary; ++j) {
      row.set(0, j, kCap * std::tanh((raw.get(t, j) + (j == i ? by : 0)) / kCap));
    }
    return log_sum_exp(row, 0) - row.get(0, targets_[static_cast<std::size_t>(t)]);
  };
  softcap(static_cast<float>(kCap), logits_.view());
  forward();
  EXPECT_NEAR(static_cast<double>(losses_[0]), capped_loss(0, 0, 0), 1e-4);
  Matrix bf16(kTokens, kVocabulary, DType::kBf16);
  cross_entropy_backward(logits_.view(), targets_, log_sum_exp_, coefficients_, bf16.view(), kCap);
  cross_entropy_backward(logits_.view(), targets_, log_sum_exp_, coefficients_, logits_.view(),
                         kCap);
  for (const std::int64_t t : {0, 1, 3, 4}) {
    const auto at = static_cast<std::size_t>(t);
    for (const std::int64_t i : {std::int64_t{2}, std::int64_t{1025}, std::int64_t{targets_[at]}}) {
      const double slope = (capped_loss(t, i, 0.03125) - capped_loss(t, i, -0.03125)) / 0.0625 *
                           static_cast<double>(coefficients_[at]);
      EXPECT_NEAR(logits_.get(t, i), slope, 1e-4) << "token " << t << " logit " << i;
      EXPECT_NEAR(bf16.get(t, i), slope, 2e-3 + std::abs(slope) / 128);
    }
  }
  EXPECT_EQ(logits_.get(2, 7), 0) << "no target, no gradient";
}

TEST_F(CrossEntropyTest, TargetsOutsideTheVocabularyAreRefused) {
  targets_[3] = kVocabulary;
  EXPECT_THROW(forward(), std::logic_error);
  targets_[3] = -2;
  EXPECT_THROW(forward(), std::logic_error);
}

}  // namespace
}  // namespace loadline
