// Private to this room: AVX-512 pieces of attention in bf16. Written with masks, as GCC 12 warns of
// what its header leaves undefined in the forms without.
#pragma once

#ifdef __AVX512BF16__

#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/block_product.h"
#include "kernels/intrinsics.h"
#include "kernels/storage.h"

namespace loadline::vectors {

constexpr float kLog2E = 1.44269504F;
constexpr std::int64_t kLanes = 16;
constexpr __mmask16 kAll = 0xffff;

// The larger of each two; the second where one is a NaN.
inline __m512 larger(__m512 a, __m512 b) { return _mm512_maskz_max_ps(kAll, a, b); }

// Within 4 ulp of 2^x, 0 below -126 (numbers that are not normal cost hundreds of cycles) and NaN
// for NaN: 2^n * 2^r, n = round(x), by the polynomial of degree 5 whose largest error relative to
// 2^r is the least, 2e-7 in f32.
inline __m512 power_of_two(__m512 x) {
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0F), _CMP_NLT_UQ);
  const __m512 n =
      _mm512_maskz_roundscale_ps(kAll, x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = x - n;
  __m512 p = _mm512_set1_ps(1.32764725e-3F);
  for (const float c : {9.67554189e-3F, 5.55071309e-2F, 2.40221202e-1F, 6.93146944e-1F, 1.0F}) {
    p = p * r + c;
  }
  return _mm512_maskz_scalef_ps(normal, p, n);
}

typedef Bf16 Bf16Vector __attribute__((vector_size(32)));

inline Bf16Vector rounded_to_bf16(__m512 x) {
  return std::bit_cast<Bf16Vector>(_mm512_cvtneps_pbh(x));
}

// The first n of 16 lanes, or all.
inline __mmask16 first_lanes(std::int64_t n) {
  if (n >= kLanes) return kAll;
  return static_cast<__mmask16>((1U << (n > 0 ? n : 0)) - 1U);
}

// Numbers in bf16, as many as there are lanes in the mask.
inline __m512 load(const Bf16* from, __mmask16 there) {
  const __m256i words = _mm256_maskz_loadu_epi16(there, from);
  return std::bit_cast<__m512>(
      _mm512_maskz_slli_epi32(kAll, _mm512_maskz_cvtepu16_epi32(kAll, words), 16));
}
inline void store(__m512 x, Bf16* to, __mmask16 there) {
  _mm256_mask_storeu_epi16(to, there, std::bit_cast<__m256i>(_mm512_cvtneps_pbh(x)));
}

// 32 numbers in bf16: first's, then second's.
inline __m512i joined(__m512 first, __m512 second) {
  return std::bit_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
}

// Sixteen pairs in bf16: upper's numbers are the first of each.
inline __m512i paired(__m512 upper, __m512 lower) {
  typedef std::uint16_t Words __attribute__((vector_size(64)));
  constexpr Words kInterleave = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_maskz_permutexvar_epi16(0xffffffffU, std::bit_cast<__m512i>(kInterleave),
                                        joined(upper, lower));
}

template <typename V>
void store(V from, void* to) {
  std::memcpy(to, &from, sizeof from);
}
inline __m512i load(const Bf16Pair* from) {
  __m512i loaded;
  std::memcpy(&loaded, from, sizeof loaded);
  return loaded;
}

// (rows, cols) pairs along a row -> (rows / 2, 2 cols) pairs of neighbouring rows.
inline void pair_rows(std::int64_t rows, std::int64_t cols, const Bf16Pair* from, Bf16Pair* to) {
  typedef std::uint32_t Places __attribute__((vector_size(64)));
  constexpr Places kFirst = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  constexpr Places kSecond = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i low = _mm512_set1_epi32(0xffff);
  for (std::int64_t i = 0; i < rows; i += 2) {
    const Bf16Pair* upper = from + i * cols;
    Bf16Pair* out = to + i * cols;
    for (std::int64_t j = 0; j < cols; j += kLanes) {
      const __mmask16 there = first_lanes(cols - j);
      const __m512i a = _mm512_maskz_loadu_epi32(there, upper + j);
      const __m512i b = _mm512_maskz_loadu_epi32(there, upper + cols + j);
      // Pairs of even and of odd places, still apart.
      const __m512i even = (a & low) | _mm512_maskz_slli_epi32(kAll, b, 16);
      const __m512i odd =
          _mm512_maskz_srli_epi32(kAll, a, 16) | _mm512_maskz_andnot_epi32(kAll, low, b);
      const auto put = [&](Places places, std::int64_t at) {
        _mm512_mask_storeu_epi32(
            out + 2 * j + at, first_lanes(2 * (cols - j) - at),
            _mm512_maskz_permutex2var_epi32(kAll, even, std::bit_cast<__m512i>(places), odd));
      };
      put(kFirst, 0);
      put(kSecond, kLanes);
    }
  }
}

}  // namespace loadline::vectors

#endif
