#include "core/rng.h"

#include <math.h>

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30, x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27, x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint64_t mtf_rng_bits(uint64_t key, uint64_t stream, uint64_t index)
{
    const uint64_t lane = mix(key + 0x9e3779b97f4a7c15u) ^ mix(stream + 0xd1b54a32d192ed03u) * 3;
    return mix(mix(lane) + 0x9e3779b97f4a7c15u * (index + 1));
}

double mtf_rng_normal(mtf_rng *rng)
{
    const double radius = sqrt(-2.0 * log(1.0 - mtf_rng_uniform(rng)));
    return radius * cos(6.283185307179586 * mtf_rng_uniform(rng));
}
