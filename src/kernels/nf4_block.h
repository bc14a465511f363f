// Private to this room: the 64 weights of an NF4 block. With AVX-512 the code book is a register
// and 16 or 32 weights are looked up at once; elsewhere a plain loop. All give the same bits, for
// weights that are normal numbers.
#pragma once

#include <cstdint>

#include "kernels/intrinsics.h"
#include "kernels/storage.h"
#include "kernels/vectors.h"

namespace loadline {

#ifdef __AVX512F__

namespace nf4_block_detail {

// 8 bytes: 16 indices in the low bits of 16 lanes, upper halves first.
inline __m512i indices(const std::uint8_t* codes) {
  const __m512i bytes =
      _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
  return _mm512_or_si512(_mm512_srli_epi64(bytes, 4), _mm512_slli_epi64(bytes, 32));
}

inline void store(__m512 x, float* to) { _mm512_storeu_ps(to, x); }
// stored<Bf16> for finite values.
inline void store(__m512 x, Bf16* to) {
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

}  // namespace nf4_block_detail

template <typename T>
void dequantize_block(const std::uint8_t* codes, float absmax, const float* book, T* to) {
  namespace detail = nf4_block_detail;
  const __m512 table = _mm512_loadu_ps(book);
  const __m512 scale = _mm512_set1_ps(absmax);
  for (int part = 0; part < 4; ++part) {
    const __m512 values = _mm512_permutexvar_ps(detail::indices(codes + part * 8), table);
    detail::store(_mm512_mul_ps(values, scale), to + part * 16);
  }
}

#ifdef __AVX512BF16__

// The code book times absmax, rounded to bf16 once for the block, is what 32 weights at a time are
// looked up in. It stands there twice: the index of every other weight has a fifth bit, which
// belongs to its neighbour.
inline void dequantize_block(const std::uint8_t* codes, float absmax, const float* book, Bf16* to) {
  const __m256i half = std::bit_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(book) * absmax));
  const __m512i table = _mm512_maskz_broadcast_i64x4(0xff, half);
  for (int part = 0; part < 2; ++part) {
    const __m512i bytes = _mm512_maskz_cvtepu8_epi32(
        vectors::kAll, _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + part * 16)));
    const __m512i indices = _mm512_maskz_srli_epi32(vectors::kAll, bytes, 4) |
                            _mm512_maskz_slli_epi32(vectors::kAll, bytes, 16);
    vectors::store(_mm512_maskz_permutexvar_epi16(0xffffffffU, indices, table), to + part * 32);
  }
}

#endif

#else

template <typename T>
void dequantize_block(const std::uint8_t* codes, float absmax, const float* book, T* to) {
  for (int i = 0; i < 32; ++i) {
    to[2 * i] = stored<T>(book[codes[i] >> 4] * absmax);
    to[2 * i + 1] = stored<T>(book[codes[i] & 15] * absmax);
  }
}

#endif

}  // namespace loadline
