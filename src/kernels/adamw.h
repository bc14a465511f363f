#pragma once

#include <cstdint>
#include <span>

namespace loadline {

// AdamW (Loshchilov and Hutter 2019) as torch.optim.AdamW defines it.
struct AdamW {
  float learning_rate = 0;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0;
  std::int64_t step = 1;  // counted from 1, for the bias correction
};

// gradient is multiplied by gradient_scale first (clipping). All spans have one length.
void adamw_update(const AdamW& settings, float gradient_scale, std::span<const float> gradient,
                  std::span<float> parameter, std::span<float> first_moment,
                  std::span<float> second_moment);

// Sum of squares in double; the same value for any thread count. Not finite when an element is not.
double squared_norm(std::span<const float> x);

}  // namespace loadline
