// Private to this room: how elements are read and written. Arithmetic is always in f32.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/dtype.h"
#include "kernels/view.h"

namespace loadline {

using Bf16 = std::uint16_t;

inline float load(float x) { return x; }
inline float load(Bf16 x) { return bf16_to_float(x); }

template <typename T>
T stored(float x);
template <>
inline float stored<float>(float x) {
  return x;
}
template <>
inline Bf16 stored<Bf16>(float x) {
  return float_to_bf16(x);
}

template <typename T>
struct Storage {
  using Type = T;
};

// Calls f with Storage<float> or Storage<Bf16>.
template <typename F>
void with_storage(DType dtype, std::string_view what, F&& f) {
  if (dtype == DType::kF32) return f(Storage<float>{});
  if (dtype == DType::kBf16) return f(Storage<Bf16>{});
  throw std::logic_error(std::string(what) + " must be f32 or bf16, not " +
                         std::string(name_of(dtype)));
}

template <typename T>
using TypeOf = typename T::Type;

inline void require_same_shape(ConstView a, ConstView b, std::string_view what) {
  if (a.rows == b.rows && a.cols == b.cols) return;
  throw std::logic_error(std::string(what) + ": (" + std::to_string(a.rows) + ", " +
                         std::to_string(a.cols) + ") and (" + std::to_string(b.rows) + ", " +
                         std::to_string(b.cols) + ") must have one shape");
}

inline void require(bool holds, std::string_view what) {
  if (!holds) throw std::logic_error(std::string(what));
}

// Below this many elements waking the other threads costs more than it saves.
constexpr std::int64_t kWorthThreads = 16384;

}  // namespace loadline
