// Private to this room: products of bf16 blocks on AMX's tiles, for attention. Elements are pairs
// of neighbours along the inner dimension, as in block_product.h. LOADLINE_TILES is defined where
// the compiler's target has tiles; whether this process may use them, tiles_are_usable() tells
// (gemm.h).
#pragma once

#if defined(__AMX_BF16__) && defined(__AMX_TILE__) && defined(__AVX512BF16__)
#define LOADLINE_TILES 1

#include <array>
#include <cstdint>

#include "kernels/block_product.h"
#include "kernels/intrinsics.h"

namespace loadline::tiles {

// A product is made of squares of this size; its inner dimension goes in steps of as many numbers.
constexpr std::int64_t kSquare = 32;
constexpr std::int64_t kStep = kSquare / 2;  // pairs

// Eight tiles of 16 rows of 64 bytes: Intel's Software Developer's Manual, "LDTILECFG".
struct Configuration {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::array<std::uint8_t, 14> reserved{};
  std::array<std::uint16_t, 16> bytes_a_row{64, 64, 64, 64, 64, 64, 64, 64};
  std::array<std::uint8_t, 16> rows{16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(Configuration) == 64);

// The calling thread's tiles, from the making of this to its end.
class Session {
 public:
  Session() {
    constexpr Configuration kConfiguration;
    _tile_loadconfig(&kConfiguration);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { _tile_release(); }
};

// The compiler does not know that tiles are read from memory and written to it.
inline void memory_is_used() { __asm__ volatile("" ::: "memory"); }

// How many steps ahead B's rows are fetched into the nearest cache. A core that has to save power
// makes one tile's instruction after the other, and waits for each load.
enum class Ahead : std::uint8_t { kNone, kOneStep };

// C (32,32) = or += A (32, 32 steps) · B (32 steps, 32). A has `a_row` pairs a row, B `b_row` pairs
// a row of pairs, C `c_row` floats.
template <bool kAdd, Ahead kAhead = Ahead::kNone>
void square(std::int64_t steps, const Bf16Pair* a, std::int64_t a_row, const Bf16Pair* b,
            std::int64_t b_row, float* c, std::int64_t c_row) {
  constexpr std::int64_t kBytes = 4;
  constexpr std::int64_t kHalf = 16;
  float* lower = c + kHalf * c_row;
  memory_is_used();
  if (kAdd) {
    _tile_loadd(0, c, c_row * kBytes);
    _tile_loadd(1, c + kHalf, c_row * kBytes);
    _tile_loadd(2, lower, c_row * kBytes);
    _tile_loadd(3, lower + kHalf, c_row * kBytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (std::int64_t step = 0; step < steps; ++step) {
    const Bf16Pair* left = a + step * kStep;
    const Bf16Pair* right = b + step * kStep * b_row;
    if constexpr (kAhead == Ahead::kOneStep) {
      const Bf16Pair* next = right + kStep * b_row;
#pragma GCC unroll 16
      for (std::int64_t r = 0; r < kStep; ++r) {
        __builtin_prefetch(next + r * b_row);
        __builtin_prefetch(next + r * b_row + kHalf);
      }
    }
    _tile_loadd(4, left, a_row * kBytes);
    _tile_loadd(5, left + kHalf * a_row, a_row * kBytes);
    _tile_loadd(6, right, b_row * kBytes);
    _tile_loadd(7, right + kHalf, b_row * kBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, c_row * kBytes);
  _tile_stored(1, c + kHalf, c_row * kBytes);
  _tile_stored(2, lower, c_row * kBytes);
  _tile_stored(3, lower + kHalf, c_row * kBytes);
  memory_is_used();
}

}  // namespace loadline::tiles

#endif
