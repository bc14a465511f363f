// What is left between the products.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/view.h"

namespace loadline {

// out[t] = table[ids[t]]; table (V,H) and out (T,H) of one type. Every id is in [0, V): checked by
// the caller.
void embedding_forward(ConstView table, std::span<const std::int32_t> ids, View out);

void copy(ConstView from, View to);                       // converts between f32 and bf16
void add(ConstView from, View to);                        // to += from
void add_bias(std::span<const float> bias, View to);      // every row of to += bias
void scale(float factor, View x);                         // x *= factor
void scale_rows(std::span<const float> factors, View x);  // x[t] *= factors[t]; x is f32
void shift(float by, View x);                             // x += by
void softcap(float cap, View x);                          // x = cap * tanh(x / cap)
void set_zero(View x);
// Uniform in [-bound, bound), a pure function of the seed and the place.
void fill_uniform(std::uint64_t seed, float bound, View x);

}  // namespace loadline
