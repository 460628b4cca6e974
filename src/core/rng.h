/** Counter-based random numbers: a draw is a pure function of (key, stream, index), so that any
 *  thread may make any draw in any order, and a resumed run makes the same ones. */
#ifndef MTF_RNG_H
#define MTF_RNG_H

#include "core/status.h"

__extension__ typedef unsigned __int128 mtf_u128;

/** 64 mixed bits of three words (two rounds of a multiply-xorshift finaliser over a Weyl mix). */
uint64_t mtf_rng_bits(uint64_t key, uint64_t stream, uint64_t index);

/** A cursor over one stream; copy it to remember a place. */
typedef struct mtf_rng {
    uint64_t key, stream, index;
} mtf_rng;

static inline mtf_rng mtf_rng_of(uint64_t key, uint64_t stream)
{
    return (mtf_rng){key, stream, 0};
}
static inline uint64_t mtf_rng_next(mtf_rng *rng)
{
    return mtf_rng_bits(rng->key, rng->stream, rng->index++);
}
/** In [0, 1), a multiple of 2^-53. */
static inline double mtf_rng_uniform(mtf_rng *rng)
{
    return (double)(mtf_rng_next(rng) >> 11) * 0x1p-53;
}
/** In [0, bound), bound > 0; bias below 2^-32 for bounds below 2^32. */
static inline uint64_t mtf_rng_below(mtf_rng *rng, uint64_t bound)
{
    return (uint64_t)((mtf_u128)mtf_rng_next(rng) * bound >> 64);
}
/** Standard normal (Box-Muller, cosine half; takes two draws). */
double mtf_rng_normal(mtf_rng *rng);

#endif
