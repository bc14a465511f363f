// Private to this room: matrices of 32-bit elements transposed, a square of vectors at a time.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

namespace loadline {

namespace transpose_detail {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

// Of two rows that lie kStep apart: the lanes that stay in the upper one or, where kLower, in the
// lower one, and between them those that come over from the other.
template <int kStep, bool kLower, typename V, int... kLane>
V exchanged(const V& upper, const V& lower, std::integer_sequence<int, kLane...> lanes) {
  constexpr int kCount = lanes.size();
  return __builtin_shufflevector(upper, lower,
                                 ((kLane & kStep) != 0 ? kCount + kLane - (kLower ? 0 : kStep)
                                                       : kLane + (kLower ? kStep : 0))...);
}

template <int kStep, typename V, int kCount>
void exchange(V (&row)[kCount]) {
  constexpr std::make_integer_sequence<int, kCount> kEach{};
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
    if ((i & kStep) != 0) continue;
    const V upper = row[i];
    const V lower = row[i + kStep];
    row[i] = exchanged<kStep, false>(upper, lower, kEach);
    row[i + kStep] = exchanged<kStep, true>(upper, lower, kEach);
  }
  if constexpr (2 * kStep < kCount) exchange<2 * kStep>(row);
}

}  // namespace transpose_detail

// Rows become columns: as many vectors as each has lanes, a power of two.
template <typename V, int kCount>
void transpose(V (&row)[kCount]) {
  transpose_detail::exchange<1>(row);
}

// (rows, cols), from_row elements a row -> (cols, rows); rows is a multiple of 16.
template <typename E>
void transpose(std::int64_t rows, std::int64_t cols, const E* from, std::int64_t from_row, E* to,
               std::int64_t to_row) {
  constexpr std::int64_t kLanes = transpose_detail::kLanes;
  typedef E Vector __attribute__((vector_size(kLanes * sizeof(E))));
  const std::int64_t whole = cols / kLanes * kLanes;
  Vector square[kLanes];
  for (std::int64_t i = 0; i < rows; i += kLanes) {
    for (std::int64_t j = 0; j < whole; j += kLanes) {
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kLanes; ++r) {
        std::memcpy(&square[r], from + (i + r) * from_row + j, sizeof(Vector));
      }
      transpose(square);
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kLanes; ++r) {
        std::memcpy(to + (j + r) * to_row + i, &square[r], sizeof(Vector));
      }
    }
  }
  for (std::int64_t j = whole; j < cols; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) to[j * to_row + i] = from[i * from_row + j];
  }
}

}  // namespace loadline
