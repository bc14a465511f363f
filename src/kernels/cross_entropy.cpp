#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/exponential.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// A NaN is not larger than anything, so it does not become the maximum; it reaches the sum.
float row_maximum(const float* x, std::int64_t count) {
  float best = kMinusInfinity;
#pragma omp simd reduction(max : best)
  for (std::int64_t i = 0; i < count; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

// The derivative of y = cap * tanh(x / cap) is 1 - (y / cap)^2.
float cap_slope(float y, float inverse_cap) {
  const float t = y * inverse_cap;
  return 1.0F - t * t;
}

// Each returns the sum of exp(x - base) over a row.
struct SumOnly {
  float operator()(const float* x, float base, std::int64_t /*row*/, std::int64_t count) const {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < count; ++i) sum += exponential(x[i] - base);
    return sum;
  }
};

template <typename W>
struct SumAndWeights {
  View weights;
  float operator()(const float* x, float base, std::int64_t row, std::int64_t count) const {
    W* weight = weights.row<W>(row);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < count; ++i) {
      const float e = exponential(x[i] - base);
      weight[i] = stored<W>(e);
      sum += e;
    }
    return sum;
  }
};

template <typename W>
struct SumAndCappedWeights {
  View weights;
  float inverse_cap = 0;
  float operator()(const float* x, float base, std::int64_t row, std::int64_t count) const {
    W* weight = weights.row<W>(row);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < count; ++i) {
      const float e = exponential(x[i] - base);
      weight[i] = stored<W>(e * cap_slope(x[i], inverse_cap));
      sum += e;
    }
    return sum;
  }
};

void require_sums(const CrossEntropySums& sums, std::size_t tokens) {
  require(sums.maximum.size() == tokens && sums.sum.size() == tokens &&
              sums.target_logit.size() == tokens,
          "cross_entropy: one maximum, sum and target logit for each target");
}

// corrections may be empty.
template <typename Exponentials>
void add_panel(ConstView logits, std::int64_t first_word, std::span<const std::int32_t> targets,
               const CrossEntropySums& sums, std::span<float> corrections,
               const Exponentials& exponentials) {
  require(logits.dtype == DType::kF32, "cross_entropy: logits must be f32");
  require(static_cast<std::int64_t>(targets.size()) == logits.rows,
          "cross_entropy: one target for each row of logits");
  require_sums(sums, targets.size());
#pragma omp parallel for schedule(static) if (logits.rows * logits.cols >= kWorthThreads)
  for (std::int64_t t = 0; t < logits.rows; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const auto* x = logits.row<float>(t);
    const std::int64_t place = targets[at] - first_word;
    if (place >= 0 && place < logits.cols) sums.target_logit[at] = x[place];
    const float highest = std::max(sums.maximum[at], row_maximum(x, logits.cols));
    // Any finite value where nothing was seen: no -inf - (-inf).
    const float base = highest == kMinusInfinity ? 0.0F : highest;
    const float correction = exponential(sums.maximum[at] - base);
    sums.sum[at] = sums.sum[at] * correction + exponentials(x, base, t, logits.cols);
    sums.maximum[at] = highest;
    if (!corrections.empty()) corrections[at] = correction;
  }
}

}  // namespace

void cross_entropy_begin(std::span<const std::int32_t> targets, std::int64_t vocabulary,
                         const CrossEntropySums& sums) {
  require_sums(sums, targets.size());
  for (const auto target : targets) {
    require(target >= 0 && target < vocabulary, "cross_entropy: target outside the vocabulary");
  }
  std::fill(sums.maximum.begin(), sums.maximum.end(), kMinusInfinity);
  std::fill(sums.sum.begin(), sums.sum.end(), 0.0F);
  std::fill(sums.target_logit.begin(), sums.target_logit.end(), kMinusInfinity);
}

void cross_entropy_panel(ConstView logits, std::int64_t first_word,
                         std::span<const std::int32_t> targets, const CrossEntropySums& sums) {
  const KernelTimer timer(Kernel::kCrossEntropy);
  add_panel(logits, first_word, targets, sums, {}, SumOnly{});
}

void cross_entropy_panel(ConstView logits, std::int64_t first_word,
                         std::span<const std::int32_t> targets, const CrossEntropySums& sums,
                         View weights, std::span<float> corrections, float cap) {
  const KernelTimer timer(Kernel::kCrossEntropy);
  require_same_shape(logits, weights, "cross_entropy_panel: logits and weights");
  require(corrections.size() == targets.size(),
          "cross_entropy_panel: one correction for each target");
  with_storage(weights.dtype, "cross_entropy weights", [&](auto storage) {
    using W = TypeOf<decltype(storage)>;
    if (cap > 0) {
      add_panel(logits, first_word, targets, sums, corrections,
                SumAndCappedWeights<W>{weights, 1.0F / cap});
    } else {
      add_panel(logits, first_word, targets, sums, corrections, SumAndWeights<W>{weights});
    }
  });
}

void cross_entropy_losses(const CrossEntropySums& sums, std::span<float> losses) {
  require_sums(sums, losses.size());
  for (std::size_t t = 0; t < losses.size(); ++t) {
    losses[t] = sums.maximum[t] + std::log(sums.sum[t]) - sums.target_logit[t];
  }
}

void cross_entropy_gradient(ConstView words, std::span<const std::int32_t> targets,
                            const CrossEntropySums& sums, std::span<const float> coefficients,
                            View gradient, float cap) {
  const KernelTimer timer(Kernel::kCrossEntropy);
  require(gradient.dtype == DType::kF32, "cross_entropy: the gradient's sums must be f32");
  require(words.cols == gradient.cols &&
              static_cast<std::int64_t>(targets.size()) == gradient.rows &&
              coefficients.size() == targets.size(),
          "cross_entropy_gradient: gradient must be (targets, columns of words)");
  require_sums(sums, targets.size());
  with_storage(words.dtype, "cross_entropy words", [&](auto storage) {
    using W = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (gradient.rows * gradient.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < gradient.rows; ++t) {
      const auto at = static_cast<std::size_t>(t);
      const float slope = cap > 0 ? cap_slope(sums.target_logit[at], 1.0F / cap) : 1.0F;
      const float factor = coefficients[at] / sums.sum[at];
      const float pull = coefficients[at] * slope;
      const W* word = words.row<W>(targets[at]);
      auto* d = gradient.row<float>(t);
#pragma omp simd
      for (std::int64_t i = 0; i < gradient.cols; ++i) d[i] = factor * d[i] - pull * load(word[i]);
    }
  });
}

}  // namespace loadline
