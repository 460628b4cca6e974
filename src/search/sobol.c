#include "search/sobol.h"

#include "core/status.h"

/** A primitive polynomial x^s + a_1 x^(s-1) + ... + 1, the inner coefficients as the bits of a, and
 *  the first s direction numbers. */
typedef struct direction {
    uint8_t s, a, m[7];
} direction;

// clang-format off
static const direction directions[MTF_SOBOL_DIMS_MAX - 1] = { /* of dimensions 2 and on */
    {1, 0, {1}},
    {2, 1, {1, 3}},
    {3, 1, {1, 3, 1}},
    {3, 2, {1, 1, 1}},
    {4, 1, {1, 1, 3, 3}},
    {4, 4, {1, 3, 5, 13}},
    {5, 2, {1, 1, 5, 5, 17}},
    {5, 4, {1, 1, 5, 5, 5}},
    {5, 7, {1, 1, 7, 11, 19}},
    {5, 11, {1, 1, 5, 1, 1}},
    {5, 13, {1, 1, 1, 3, 11}},
    {5, 14, {1, 3, 5, 5, 31}},
    {6, 1, {1, 3, 3, 9, 7, 49}},
    {6, 13, {1, 1, 1, 15, 21, 21}},
    {6, 16, {1, 3, 1, 13, 27, 49}},
    {6, 19, {1, 1, 1, 15, 7, 5}},
    {6, 22, {1, 3, 1, 15, 13, 25}},
    {6, 25, {1, 1, 5, 5, 19, 61}},
    {7, 1, {1, 3, 7, 11, 23, 15, 103}},
    {7, 4, {1, 3, 7, 13, 13, 15, 69}},
    {7, 7, {1, 1, 3, 13, 7, 35, 63}},
    {7, 8, {1, 3, 5, 9, 1, 25, 53}},
    {7, 14, {1, 3, 1, 13, 9, 35, 107}},
    {7, 19, {1, 3, 1, 5, 27, 61, 31}},
    {7, 21, {1, 1, 5, 11, 19, 41, 61}},
    {7, 28, {1, 3, 5, 3, 3, 13, 69}},
    {7, 31, {1, 1, 7, 13, 1, 19, 1}},
    {7, 32, {1, 3, 7, 5, 13, 19, 59}},
    {7, 37, {1, 1, 3, 9, 25, 29, 41}},
    {7, 41, {1, 3, 5, 13, 23, 1, 55}},
};
// clang-format on

uint32_t mtf_sobol(uint32_t index, uint32_t dim)
{
    MTF_ASSERT(dim < MTF_SOBOL_DIMS_MAX);
    const direction first = {.s = 0}, *at = dim ? &directions[dim - 1] : &first;
    const uint32_t s = at->s;
    uint32_t v[32] = {0}, x = 0; /* v: direction numbers, the point at the top */
    for (uint32_t k = 0; k < 32; k++) {
        if (s == 0) {
            v[k] = 1u << (31 - k);
        } else if (k < s && k < sizeof at->m) {
            v[k] = (uint32_t)at->m[k] << (31 - k);
        } else {
            v[k] = v[k - s] ^ v[k - s] >> s;
            for (uint32_t i = 1; i < s; i++)
                if (at->a >> (s - 1 - i) & 1) v[k] ^= v[k - i];
        }
    }
    for (uint32_t k = 0; index; k++, index >>= 1)
        if (index & 1) x ^= v[k];
    return x;
}
