#include "checkpoint/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace loadline {
namespace {

// memcpy, as the bytes of a file have no alignment; compilers make plain loads of it.
template <typename From, typename To, typename Function>
void each(std::span<const std::byte> in, std::span<std::byte> out, Function function) {
  const std::size_t n = in.size() / sizeof(From);
  for (std::size_t i = 0; i < n; ++i) {
    From from;
    std::memcpy(&from, in.data() + i * sizeof(From), sizeof(From));
    const To to = function(from);
    std::memcpy(out.data() + i * sizeof(To), &to, sizeof(To));
  }
}

void to_f32(DType from, std::span<const std::byte> in, std::span<std::byte> out) {
  if (from == DType::kBf16) {
    each<std::uint16_t, float>(in, out, bf16_to_float);
  } else {
    each<std::uint16_t, float>(in, out, f16_to_float);
  }
}

void to_bf16(DType from, std::span<const std::byte> in, std::span<std::byte> out) {
  if (from == DType::kF32) {
    each<float, std::uint16_t>(in, out, float_to_bf16);
  } else {
    each<std::uint16_t, std::uint16_t>(
        in, out, [](std::uint16_t bits) { return float_to_bf16(f16_to_float(bits)); });
  }
}

void to_f16(DType from, std::span<const std::byte> in, std::span<std::byte> out) {
  if (from == DType::kF32) {
    each<float, std::uint16_t>(in, out, float_to_f16);
  } else {
    each<std::uint16_t, std::uint16_t>(
        in, out, [](std::uint16_t bits) { return float_to_f16(bf16_to_float(bits)); });
  }
}

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBf16;
}

}  // namespace

float f16_to_float(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7fffU;
  // Exponent and fraction in their places; the scale below corrects the bias, subnormals included.
  const float scaled = std::bit_cast<float>(magnitude << 13) * 0x1p112F;
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(scaled);
  const std::uint32_t special = (magnitude << 13) | 0x7f800000U;
  return std::bit_cast<float>(sign | (magnitude >= 0x7c00U ? special : finite));
}

std::uint16_t float_to_f16(float value) {
  constexpr std::uint32_t kNormal = 0x38800000U;    // 2^-14, the smallest that is not subnormal
  constexpr std::uint32_t kInfinite = 0x477ff000U;  // 65520, the smallest that rounds to infinity
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (magnitude > 0x7f800000U) {
    half = 0x7e00U;
  } else if (magnitude >= kInfinite) {
    half = 0x7c00U;
  } else if (magnitude >= kNormal) {
    half = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  } else {
    // In units of 2^-24; nearbyint rounds ties to even.
    half = static_cast<std::uint32_t>(std::nearbyint(std::bit_cast<float>(magnitude) * 0x1p24F));
  }
  return static_cast<std::uint16_t>(sign | half);
}

bool can_convert(DType from, DType to) { return is_float(from) && is_float(to); }

void convert(DType from, std::span<const std::byte> in, DType to, std::span<std::byte> out) {
  if (from == to) {
    std::copy(in.begin(), in.end(), out.begin());
  } else if (to == DType::kF32) {
    to_f32(from, in, out);
  } else if (to == DType::kBf16) {
    to_bf16(from, in, out);
  } else {
    to_f16(from, in, out);
  }
}

}  // namespace loadline
