#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/exponential.h"
#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {
namespace {

constexpr std::int64_t kSumBlock = 1024;  // summed in f32; the blocks' sums in double

// A NaN is not larger than anything, so it does not become the maximum; it reaches the sum.
float row_maximum(const float* x, std::int64_t count) {
  float best = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : best)
  for (std::int64_t i = 0; i < count; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

float row_log_sum_exp(const float* x, std::int64_t count) {
  const float maximum = row_maximum(x, count);
  double total = 0;
  for (std::int64_t begin = 0; begin < count; begin += kSumBlock) {
    const std::int64_t end = std::min(begin + kSumBlock, count);
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = begin; i < end; ++i) sum += exponential(x[i] - maximum);
    total += static_cast<double>(sum);
  }
  return static_cast<float>(static_cast<double>(maximum) + std::log(total));
}

template <typename D>
void row_gradient(const float* x, std::int32_t target, float log_sum_exp, float coefficient, D* d,
                  std::int64_t count) {
  const float at_target = coefficient * (exponential(x[target] - log_sum_exp) - 1.0F);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    d[i] = stored<D>(coefficient * exponential(x[i] - log_sum_exp));
  }
  d[target] = stored<D>(at_target);
}

// The derivative of y = cap * tanh(x / cap) is 1 - (y / cap)^2.
float cap_slope(float y, float inverse_cap) {
  const float t = y * inverse_cap;
  return 1.0F - t * t;
}

template <typename D>
void capped_row_gradient(const float* y, std::int32_t target, float log_sum_exp, float coefficient,
                         float inverse_cap, D* d, std::int64_t count) {
  const float at_target = coefficient * (exponential(y[target] - log_sum_exp) - 1.0F) *
                          cap_slope(y[target], inverse_cap);
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    d[i] = stored<D>(coefficient * exponential(y[i] - log_sum_exp) * cap_slope(y[i], inverse_cap));
  }
  d[target] = stored<D>(at_target);
}

void require_targets(ConstView logits, std::span<const std::int32_t> targets) {
  require(logits.dtype == DType::kF32, "cross_entropy: logits must be f32");
  require(static_cast<std::int64_t>(targets.size()) == logits.rows,
          "cross_entropy: one target for each row of logits");
  for (const auto target : targets) {
    require(target >= -1 && target < logits.cols, "cross_entropy: target outside the vocabulary");
  }
}

}  // namespace

void cross_entropy_forward(ConstView logits, std::span<const std::int32_t> targets,
                           std::span<float> losses, std::span<float> log_sum_exp) {
  const KernelTimer timer(Kernel::kCrossEntropy);
  require_targets(logits, targets);
  require(losses.size() == targets.size() && log_sum_exp.size() == targets.size(),
          "cross_entropy_forward: one loss and one log_sum_exp for each target");
#pragma omp parallel for schedule(static) if (logits.rows * logits.cols >= kWorthThreads)
  for (std::int64_t t = 0; t < logits.rows; ++t) {
    const auto at = static_cast<std::size_t>(t);
    losses[at] = 0;
    log_sum_exp[at] = 0;
    if (targets[at] < 0) continue;
    const auto* x = logits.row<float>(t);
    log_sum_exp[at] = row_log_sum_exp(x, logits.cols);
    losses[at] = log_sum_exp[at] - x[targets[at]];
  }
}

void cross_entropy_backward(ConstView logits, std::span<const std::int32_t> targets,
                            std::span<const float> log_sum_exp, std::span<const float> coefficients,
                            View dlogits, float cap) {
  const KernelTimer timer(Kernel::kCrossEntropy);
  require_targets(logits, targets);
  require_same_shape(logits, dlogits, "cross_entropy_backward: logits and dlogits");
  require(log_sum_exp.size() == targets.size() && coefficients.size() == targets.size(),
          "cross_entropy_backward: one log_sum_exp and one coefficient for each target");
  with_storage(dlogits.dtype, "cross_entropy dlogits", [&](auto storage) {
    using D = TypeOf<decltype(storage)>;
#pragma omp parallel for schedule(static) if (logits.rows * logits.cols >= kWorthThreads)
    for (std::int64_t t = 0; t < logits.rows; ++t) {
      const auto at = static_cast<std::size_t>(t);
      auto* d = dlogits.row<D>(t);
      if (targets[at] < 0) {
        std::fill(d, d + dlogits.cols, D{0});
      } else if (cap > 0) {
        capped_row_gradient(logits.row<float>(t), targets[at], log_sum_exp[at], coefficients[at],
                            1.0F / cap, d, logits.cols);
      } else {
        row_gradient(logits.row<float>(t), targets[at], log_sum_exp[at], coefficients[at], d,
                     logits.cols);
      }
    }
  });
}

}  // namespace loadline
