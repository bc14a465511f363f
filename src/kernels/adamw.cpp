#include "kernels/adamw.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/kernel_times.h"
#include "kernels/storage.h"

namespace loadline {

void adamw_update(const AdamW& settings, float gradient_scale, std::span<const float> gradient,
                  std::span<float> parameter, std::span<float> first_moment,
                  std::span<float> second_moment) {
  const KernelTimer timer(Kernel::kAdamW);
  const auto count = static_cast<std::int64_t>(parameter.size());
  require(gradient.size() == parameter.size() && first_moment.size() == parameter.size() &&
              second_moment.size() == parameter.size(),
          "adamw_update: all spans have one length");
  require(settings.step >= 1, "adamw_update: step is counted from 1");
  const auto step = static_cast<double>(settings.step);
  const double correction1 = 1.0 - std::pow(static_cast<double>(settings.beta1), step);
  const double correction2 = 1.0 - std::pow(static_cast<double>(settings.beta2), step);
  const auto rate = static_cast<float>(static_cast<double>(settings.learning_rate) / correction1);
  const auto root = static_cast<float>(1.0 / std::sqrt(correction2));
  const float keep = 1.0F - settings.learning_rate * settings.weight_decay;
  const float beta1 = settings.beta1;
  const float beta2 = settings.beta2;
  const float epsilon = settings.epsilon;
  const float* g = gradient.data();
  float* p = parameter.data();
  float* m = first_moment.data();
  float* v = second_moment.data();
#pragma omp parallel for simd schedule(static) if (count >= kWorthThreads)
  for (std::int64_t i = 0; i < count; ++i) {
    const float scaled = g[i] * gradient_scale;
    m[i] = beta1 * m[i] + (1.0F - beta1) * scaled;
    v[i] = beta2 * v[i] + (1.0F - beta2) * scaled * scaled;
    p[i] = p[i] * keep - rate * m[i] / (std::sqrt(v[i]) * root + epsilon);
  }
}

double squared_norm(std::span<const float> x) {
  const KernelTimer timer(Kernel::kAdamW);
  constexpr std::int64_t kParts = 256;  // whatever the threads, the same sums are added
  std::array<double, kParts> sums{};
  const auto count = static_cast<std::int64_t>(x.size());
  const std::int64_t length = (count + kParts - 1) / kParts;
#pragma omp parallel for schedule(static) if (count >= kWorthThreads)
  for (std::int64_t part = 0; part < kParts; ++part) {
    const float* begin = x.data();
    const std::int64_t end = std::min((part + 1) * length, count);
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = part * length; i < end; ++i) {
      const auto value = static_cast<double>(begin[i]);
      sum += value * value;
    }
    sums[static_cast<std::size_t>(part)] = sum;
  }
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

}  // namespace loadline
