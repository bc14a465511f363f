// Private to this room: exp and tanh for vector loops. The library's exp is a call for each element
// unless -ffast-math is on, which it never is here.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace loadline {

// Within 2 ulp of exp(x) for x in [-87.3, 88.7]; 0 below, infinity above, NaN for NaN.
// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln(2) / 2, by Taylor's polynomial of degree 7,
// whose remainder there is 5e-9.
inline float exponential(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // exact in few bits, so n * kLn2High is exact
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
  const float low = x < -87.3F ? -87.3F : x;
  const float clamped = low > 88.7F ? 88.7F : low;
  const float rounded = clamped * kLog2E + kRound;
  const float n = rounded - kRound;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float p = 1.0F / 5040.0F;
  p = p * r + 1.0F / 720.0F;
  p = p * r + 1.0F / 120.0F;
  p = p * r + 1.0F / 24.0F;
  p = p * r + 1.0F / 6.0F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  // n stands in the last bits of `rounded`; p * 2^n is normal, so that its exponent is a sum.
  const std::uint32_t bits =
      std::bit_cast<std::uint32_t>(p) + (std::bit_cast<std::uint32_t>(rounded) << 23);
  const float y = x != x ? x : std::bit_cast<float>(bits);
  const float with_zero = x < -87.3F ? 0.0F : y;
  return x > 88.7F ? std::numeric_limits<float>::infinity() : with_zero;
}

// Within 4 ulp of tanh(x); NaN for NaN. Near 0 by the first five terms of Lambert's continued
// fraction, whose error at 0.6 is 1e-9 of the value; elsewhere 1 - 2 / (exp(2 |x|) + 1).
inline float hyperbolic_tangent(float x) {
  const float z = x * x;
  const float near = x * (945.0F + z * (105.0F + z)) / (945.0F + z * (420.0F + 15.0F * z));
  const float size = x < 0 ? -x : x;
  const float far = 1.0F - 2.0F / (exponential(2.0F * size) + 1.0F);
  const float with_sign = x < 0 ? -far : far;
  return size < 0.6F ? near : with_sign;
}

}  // namespace loadline
