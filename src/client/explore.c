/* Formula 3 of arXiv:2404.17589. The paper samples baseline + U(-0.15, 0.15); here the box is first
 * clipped to [-1,1] and then sampled, so that no probability piles up on the edge and the density
 * of a logged action is exactly one over the box's volume. */
#include "client/explore.h"

#include <math.h>

#include "core/hash.h"
#include "core/rng.h"

void mtf_box_clip(uint32_t count, const float *baseline, float half_width, float *lower,
                  float *upper)
{
    for (uint32_t d = 0; d < count; d++) {
        const double room_below = -1.0 - baseline[d], room_above = 1.0 - baseline[d];
        lower[d] = (float)fmax(0.0 - half_width, room_below);
        upper[d] = (float)fmin(half_width, room_above);
        /* rounding an offset to float must not carry the box over its edge */
        if (lower[d] < room_below) lower[d] = nextafterf(lower[d], INFINITY);
        if (upper[d] > room_above) upper[d] = nextafterf(upper[d], -INFINITY);
    }
}

/* The draws come from rng on. */
static double draw(mtf_rng rng, uint32_t count, const float *baseline, const float *lower,
                   const float *upper, float *action)
{
    double log_density = 0;
    for (uint32_t d = 0; d < count; d++) {
        const double low = (double)baseline[d] + lower[d], high = (double)baseline[d] + upper[d];
        const double width = (double)upper[d] - lower[d], u = mtf_rng_uniform(&rng);
        if (!(width > 0)) {
            action[d] = baseline[d] + lower[d];
            continue;
        }
        log_density -= log(width);
        action[d] = (float)(low + u * width);
        if (action[d] < low) action[d] = nextafterf(action[d], INFINITY);
        if (action[d] > high) action[d] = nextafterf(action[d], -INFINITY);
    }
    return log_density;
}

double mtf_explore_box(uint64_t seed, mtf_str request_id, uint32_t count, const float *baseline,
                       const float *lower, const float *upper, float *action)
{
    const mtf_rng rng = mtf_rng_of(seed, mtf_hash64(request_id.data, request_id.size));
    return draw(rng, count, baseline, lower, upper, action);
}

void mtf_explore_boxes(uint64_t seed, mtf_str request_id, uint32_t items, uint32_t count,
                       const float *baselines, float half_width, bool shared, float *lower,
                       float *upper, float *actions)
{
    mtf_rng rng = mtf_rng_of(seed, mtf_hash64(request_id.data, request_id.size));
    for (size_t i = 0, at = 0; i < items; i++, at += count) {
        mtf_box_clip(count, baselines + at, half_width, lower + at, upper + at);
        draw(rng, count, baselines + at, lower + at, upper + at, actions + at);
        if (!shared) rng.index += count;
    }
}

void mtf_explore_gaussian(uint64_t seed, mtf_str request_id, uint32_t count, const float *baseline,
                          float sigma, float *action)
{
    mtf_rng rng = mtf_rng_of(seed, mtf_hash64(request_id.data, request_id.size));
    for (uint32_t d = 0; d < count; d++) {
        const double drawn = baseline[d] + sigma * mtf_rng_normal(&rng);
        action[d] = (float)fmax(-1, fmin(1, drawn));
    }
}

/* The standard normal's share of [low, high]. From the far side where both are positive, so that
 * small shares keep their digits. */
static double normal_share(double low, double high)
{
    const double root_half = 0.70710678118654752;
    if (low > 0) return 0.5 * (erfc(low * root_half) - erfc(high * root_half));
    return 0.5 * (erfc(-high * root_half) - erfc(-low * root_half));
}

double mtf_explore_truncated(uint64_t seed, mtf_str request_id, uint32_t count,
                             const float *baseline, double sigma, float *action)
{
    enum { DRAWS_MAX = 128 }; /* with sigma <= 1 a draw fits with probability 0.47 at least */
    const double half_log_tau = 0.91893853320467274;
    mtf_rng rng = mtf_rng_of(seed, mtf_hash64(request_id.data, request_id.size));
    double log_density = 0;
    for (uint32_t d = 0; d < count; d++) {
        const double base = baseline[d];
        double drawn = 2;
        for (int n = 0; n < DRAWS_MAX && !(drawn >= -1 && drawn <= 1); n++)
            drawn = base + sigma * mtf_rng_normal(&rng);
        action[d] = (float)(drawn >= -1 && drawn <= 1 ? drawn : base);
        const double z = (action[d] - base) / sigma;
        log_density -= half_log_tau + 0.5 * z * z + log(sigma) +
                       log(normal_share((-1 - base) / sigma, (1 - base) / sigma));
    }
    return log_density;
}
