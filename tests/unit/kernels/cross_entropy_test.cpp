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
constexpr std::int64_t kWidth = 12;

std::vector<std::int32_t> targets() { return {0, 2499, 1, 17, 1024, 1000, 1023, 5, 6}; }

double log_sum_exp(const Matrix& x, std::int64_t t) {
  double maximum = -1e300;
  for (std::int64_t i = 0; i < x.cols(); ++i) maximum = std::max(maximum, x.get(t, i));
  double sum = 0;
  for (std::int64_t i = 0; i < x.cols(); ++i) sum += std::exp(x.get(t, i) - maximum);
  return maximum + std::log(sum);
}

// to (C,N) +=, or =, a (C,K) · b (K,N) in double.
void multiply(const Matrix& a, const Matrix& b, std::int64_t first_row, bool adds, Matrix& to) {
  for (std::int64_t t = 0; t < a.rows(); ++t) {
    for (std::int64_t h = 0; h < to.cols(); ++h) {
      double sum = adds ? to.get(t, h) : 0;
      for (std::int64_t i = 0; i < a.cols(); ++i) sum += a.get(t, i) * b.get(first_row + i, h);
      to.set(t, h, sum);
    }
  }
}

// Tokens' logits are inputs · words^T, capped where there is a cap.
class CrossEntropyTest : public testing::Test {
 protected:
  [[nodiscard]] Matrix logits_of(const Matrix& inputs, double cap) const {
    Matrix logits(kTokens, kVocabulary, DType::kF32, 4);
    for (std::int64_t t = 0; t < kTokens; ++t) {
      for (std::int64_t i = 0; i < kVocabulary; ++i) {
        double sum = 0;
        for (std::int64_t h = 0; h < kWidth; ++h) sum += inputs.get(t, h) * words_.get(i, h);
        logits.set(t, i, cap > 0 ? cap * std::tanh(sum / cap) : sum);
      }
    }
    return logits;
  }
  [[nodiscard]] double loss(const Matrix& logits, std::int64_t t) const {
    return log_sum_exp(logits, t) - logits.get(t, targets_[static_cast<std::size_t>(t)]);
  }
  // Panels of `panel` words, the last one first where `backwards`.
  void run(std::int64_t panel, DType dtype, float cap = 0, bool backwards = false) {
    cross_entropy_begin(targets_, kVocabulary, sums_);
    const std::int64_t panels = (kVocabulary + panel - 1) / panel;
    for (std::int64_t i = 0; i < panels; ++i) {
      const std::int64_t first = (backwards ? panels - 1 - i : i) * panel;
      const std::int64_t count = std::min(panel, kVocabulary - first);
      Matrix weights(kTokens, count, dtype, 1);
      cross_entropy_panel(logits_.view().columns(first, count), first, targets_, sums_,
                          weights.view(), corrections_, cap);
      EXPECT_TRUE(weights.gaps_untouched());
      scale_rows(corrections_, gradient_.view());
      multiply(weights, words_, first, i > 0, gradient_);
    }
    cross_entropy_losses(sums_, losses_);
    cross_entropy_gradient(words_.view(), targets_, sums_, coefficients_, gradient_.view(), cap);
  }
  void expect_finite_differences(double cap, double tolerance) const {
    for (std::int64_t t = 0; t < kTokens; ++t) {
      for (const std::int64_t h : {std::int64_t{0}, std::int64_t{5}, kWidth - 1}) {
        Matrix moved = inputs_;
        moved.set(t, h, inputs_.get(t, h) + 0.03125);
        const double up = loss(logits_of(moved, cap), t);
        moved.set(t, h, inputs_.get(t, h) - 0.03125);
        const double down = loss(logits_of(moved, cap), t);
        const double slope =
            (up - down) / 0.0625 * static_cast<double>(coefficients_[static_cast<std::size_t>(t)]);
        EXPECT_NEAR(gradient_.get(t, h), slope, tolerance * (1 + std::abs(slope)))
            << "token " << t << ", input " << h;
      }
    }
  }

  std::vector<std::int32_t> targets_ = targets();
  Matrix inputs_ = Matrix::random(kTokens, kWidth, 1);
  Matrix words_ = Matrix::random(kVocabulary, kWidth, 2);
  Matrix logits_ = logits_of(inputs_, 0);
  Matrix gradient_ = Matrix(kTokens, kWidth, DType::kF32, 3);
  std::vector<float> losses_ = std::vector<float>(kTokens);
  std::vector<float> corrections_ = std::vector<float>(kTokens);
  std::vector<float> maximum_ = std::vector<float>(kTokens);
  std::vector<float> sum_ = std::vector<float>(kTokens);
  std::vector<float> target_logit_ = std::vector<float>(kTokens);
  CrossEntropySums sums_{maximum_, sum_, target_logit_};
  std::vector<float> coefficients_ = {1, 0.5F, 2, -1, 0.25F, 3, 1, 0, 7};
};

TEST_F(CrossEntropyTest, LossesAreTheNegativeLogProbabilitiesHoweverWideThePanels) {
  for (const std::int64_t panel : {kVocabulary, std::int64_t{1024}, std::int64_t{33}}) {
    for (const bool backwards : {false, true}) {
      run(panel, DType::kF32, 0, backwards);
      for (std::int64_t t = 0; t < kTokens; ++t) {
        const double wanted = loss(logits_, t);
        EXPECT_NEAR(static_cast<double>(losses_[static_cast<std::size_t>(t)]), wanted,
                    1e-5 * (1 + wanted));
      }
    }
  }
}

TEST_F(CrossEntropyTest, WithoutAGradientTheSumsAreTheSame) {
  run(1000, DType::kF32);
  const std::vector<float> losses = losses_;
  cross_entropy_begin(targets_, kVocabulary, sums_);
  for (std::int64_t first = 0; first < kVocabulary; first += 1000) {
    const std::int64_t count = std::min<std::int64_t>(1000, kVocabulary - first);
    cross_entropy_panel(logits_.view().columns(first, count), first, targets_, sums_);
  }
  cross_entropy_losses(sums_, losses_);
  EXPECT_EQ(losses_, losses);
}

TEST_F(CrossEntropyTest, TheGradientIsTheFiniteDifferenceOfTheDefinition) {
  for (const std::int64_t panel : {kVocabulary, std::int64_t{700}}) {
    run(panel, DType::kF32);
    expect_finite_differences(0, 1e-3);
    EXPECT_TRUE(gradient_.gaps_untouched());
    run(panel, DType::kBf16);
    expect_finite_differences(0, 1e-2);
  }
}

TEST_F(CrossEntropyTest, TheCappedGradientIsTheFiniteDifferenceByTheLogitsBeforeTheCap) {
  constexpr double kCap = 6;
  softcap(static_cast<float>(kCap), logits_.view());
  run(700, DType::kF32, static_cast<float>(kCap));
  expect_finite_differences(kCap, 1e-3);
  run(700, DType::kBf16, static_cast<float>(kCap));
  expect_finite_differences(kCap, 1e-2);
}

TEST_F(CrossEntropyTest, WeightsMayTakeThePlaceOfTheLogits) {
  run(kVocabulary, DType::kF32);
  Matrix apart(kTokens, kVocabulary);
  cross_entropy_begin(targets_, kVocabulary, sums_);
  cross_entropy_panel(logits_.view(), 0, targets_, sums_, apart.view(), corrections_);
  cross_entropy_begin(targets_, kVocabulary, sums_);
  cross_entropy_panel(logits_.view(), 0, targets_, sums_, logits_.view(), corrections_);
  EXPECT_EQ(distance(logits_, apart), 0);
}

TEST_F(CrossEntropyTest, LargeLogitsDoNotOverflow) {
  logits_.set(0, 700, 30000);
  logits_.set(1, 3, -30000);
  run(512, DType::kF32);
  EXPECT_NEAR(static_cast<double>(losses_[0]), 30000 - logits_.get(0, 0), 0.01);
  EXPECT_NEAR(static_cast<double>(losses_[1]), loss(logits_, 1), 1e-4);
}

TEST_F(CrossEntropyTest, ALogitThatIsNotANumberMakesTheLossNotANumber) {
  for (const std::int64_t word : {std::int64_t{2000}, std::int64_t{3}}) {
    logits_ = logits_of(inputs_, 0);
    logits_.set(3, word, std::numeric_limits<double>::quiet_NaN());
    logits_.set(4, word, std::numeric_limits<double>::infinity());
    run(512, DType::kF32);
    EXPECT_FALSE(std::isfinite(losses_[3]));
    EXPECT_FALSE(std::isfinite(losses_[4]));
    EXPECT_TRUE(std::isfinite(losses_[6]));
  }
}

TEST_F(CrossEntropyTest, TargetsOutsideTheVocabularyAreRefused) {
  for (const std::int32_t target : {static_cast<std::int32_t>(kVocabulary), -1}) {
    targets_[3] = target;
    EXPECT_THROW(cross_entropy_begin(targets_, kVocabulary, sums_), std::logic_error);
  }
}

}  // namespace
}  // namespace loadline
