/** The simulator's numbers: counter-based draws and elementary functions made of +, -, *, / and bit
 *  moves only, so that every machine and every vector width computes the same bits (the build sets
 *  -ffp-contract=off), and so that compilers vectorise the loops they stand in. */
#ifndef MTF_SIM_DRAW_H
#define MTF_SIM_DRAW_H

#include <stdint.h>
#include <string.h>

/** 64 mixed bits of (key, index): SplitMix64's finaliser over a Weyl sequence. */
static inline uint64_t sim_bits(uint64_t key, uint64_t index)
{
    uint64_t x = key + 0x9e3779b97f4a7c15u * (index + 1);
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/** A key for a child stream: what a user, a session, a request draws from. */
static inline uint64_t sim_key(uint64_t key, uint64_t child)
{
    return sim_bits(sim_bits(key, child), 0x5bd1e995u);
}

/** In (0, 1): a multiple of 2^-24 plus half of it. */
static inline float sim_uniform(uint64_t key, uint64_t index)
{
    return ((float)(uint32_t)(sim_bits(key, index) >> 40) + 0.5f) * 0x1p-24f;
}

/** Nearly normal, mean 0, variance 1, within +-3.46: the sum of the four 16-bit parts of one draw.
 */
static inline float sim_normal(uint64_t key, uint64_t index)
{
    const uint64_t bits = sim_bits(key, index);
    const uint64_t pairs = (bits & 0x0000ffff0000ffffu) + (bits >> 16 & 0x0000ffff0000ffffu);
    const int32_t sum = (int32_t)((pairs & 0xffffffffu) + (pairs >> 32)) - 131070;
    return (float)sum * 2.6429e-5f; /* sqrt(12 / 4) / 65536 */
}

/** e^x, relative error below 3e-7 for |x| <= 80; clamped beyond. */
static inline float sim_exp(float x)
{
    const float clamped = x < -80.0f ? -80.0f : x > 80.0f ? 80.0f : x;
    const float y = clamped * 1.44269504f;
    const float whole =
        (y + 12582912.0f) - 12582912.0f; /* round to nearest by the mantissa's end */
    const float f = (y - whole) * 0.693147181f;
    const float p =
        1.0f +
        f * (1.0f +
             f * (0.5f + f * (0.166666667f +
                              f * (0.0416666667f + f * (0.00833333333f + f * 0.00138888889f)))));
    const int32_t scale_bits = ((int32_t)whole + 127) << 23;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return p * scale;
}

/** ln x for normal x > 0, absolute error below 2e-6. */
static inline float sim_log(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int32_t exponent =
        (bits - 0x3f3504f3) >> 23; /* so that the mantissa lies in [sqrt(1/2), sqrt 2) */
    const int32_t mantissa_bits = bits - exponent * (1 << 23);
    float m;
    memcpy(&m, &mantissa_bits, sizeof m);
    const float s = (m - 1.0f) / (m + 1.0f), s2 = s * s; /* ln m = 2 atanh s, |s| < 0.172 */
    const float atanh2 =
        s * (2.0f + s2 * (0.666666667f + s2 * (0.4f + s2 * (0.285714286f + s2 * 0.222222222f))));
    return (float)exponent * 0.693147181f + atanh2;
}

static inline float sim_sigmoid(float x)
{
    return 1.0f / (1.0f + sim_exp(-x));
}

static inline float sim_tanh(float x)
{
    return 1.0f - 2.0f / (1.0f + sim_exp(2.0f * x));
}

#endif
