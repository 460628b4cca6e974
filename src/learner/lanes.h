/** Sixteen float32 at a time: what the products for AVX-512 share. Only on x86-64, and to be called
 *  only from functions compiled for avx512f or more. */
#ifndef MTF_LEARNER_LANES_H
#define MTF_LEARNER_LANES_H

#include <immintrin.h>
#include <stddef.h>

#define MTF_LANES_INLINE __attribute__((target("avx512f"), always_inline)) static inline

enum { MTF_LANES = 16 };

/** The mask of the first `count` lanes. */
MTF_LANES_INLINE __mmask16 mtf_lanes_first(size_t count)
{
    return (__mmask16)(count >= MTF_LANES ? 0xffffu : (1u << count) - 1);
}

/** Words (i, j) to (j, i). */
MTF_LANES_INLINE void mtf_lanes_turn(__m512i row[MTF_LANES])
{
    __m512i t[MTF_LANES];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        row[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        row[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        row[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        row[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        row[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        row[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        row[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}

#endif
