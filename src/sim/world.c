#include "sim/world.h"

#include <math.h>

#include "sim/draw.h"

/* Change anything here and the reference values must be made again: mtf simulate --describe
 * --write. All users tire of lure and spam and live on delight; they differ in length and depth,
 * and in how much lure they bear. What draws a user in is not what does her good, so a myopic
 * fusion loses. A type's two groups are opposite corners of a square: which square shows linearly
 * in the third trait, which diagonal does not. Attributes: lure, length, depth, delight, spam. */
static const sim_world written = {
    .types =
        {
            {.share = 0.25f,
             .centre = {{1, 1, 1}, {-1, -1, 1}},
             .taste = {0.3f, -0.8f, 0.0f, 1.0f, -0.6f},
             .worth = {-0.6f, -0.5f, 0.0f, 0.9f, -0.8f}},
            {.share = 0.25f,
             .centre = {{-1, 1, 1}, {1, -1, 1}},
             .taste = {0.0f, 0.7f, 0.2f, 0.9f, -0.6f},
             .worth = {-1.0f, 0.5f, 0.2f, 0.9f, -0.9f}},
            {.share = 0.25f,
             .centre = {{1, -1, -1}, {-1, 1, -1}},
             .taste = {0.1f, -0.4f, 0.9f, 0.8f, -0.6f},
             .worth = {-1.0f, -0.3f, 0.6f, 0.8f, -0.9f}},
            {.share = 0.25f,
             .centre = {{-1, -1, -1}, {1, 1, -1}},
             .taste = {0.1f, 0.0f, -0.6f, 1.0f, -0.9f},
             .worth = {-0.9f, 0.0f, -0.4f, 0.9f, -1.1f}},
        },
    .behaviours =
        {
            {.base = -0.2f,
             .own = 0.30f,
             .by_taste = 0.7f,
             .seen_base = 0.0f,
             .seen_slope = 1.0f,
             .calibration = 0.8f,
             .sight = 0.85f},
            {.base = 2.7f,
             .own = 0.2f,
             .by_taste = 0.35f,
             .seen_base = -1.0f,
             .seen_slope = 1.0f,
             .calibration = 1.0f,
             .sight = 0.85f},
            {.base = -1.0f,
             .own = 0.4f,
             .by_taste = 0.7f,
             .seen_base = -1.2f,
             .seen_slope = 1.1f,
             .calibration = 1.1f,
             .sight = 0.8f},
            {.base = -3.4f,
             .own = 0.3f,
             .by_taste = 0.7f,
             .seen_base = -2.5f,
             .seen_slope = 1.5f,
             .calibration = 1.2f,
             .sight = 0.8f},
            {.base = -3.2f,
             .own = 0.6f,
             .by_taste = -0.3f,
             .seen_base = -2.5f,
             .seen_slope = 1.5f,
             .calibration = 0.8f,
             .sight = 0.8f},
        },
    .spread = 0.4f,
    .second_share = 0.35f,
    .profile_noise = 0.4f,
    .request_noise = 0.2f,
    .temper_start = 1.0f,
    .temper_spread = 0.15f,
    .temper_wear = 0.36f,
    .temper_worth = 0.13f,
    .temper_tiring = 0.04f,
    .temper_scale = 0.2f,
};

void sim_world_init(sim_world *world)
{
    *world = written;
    const uint64_t key = sim_key(2404, 17589);
    for (uint32_t j = 0; j < SIM_PROFILE; j++) {
        const uint64_t row = sim_key(key, j);
        for (uint32_t d = 0; d < SIM_TRAITS; d++)
            world->profile_weight[j][d] = 0.6f * sim_normal(row, d);
        world->profile_bias[j] = 0.5f * sim_normal(row, SIM_TRAITS);
    }
    for (uint32_t a = 0; a < SIM_ATTRIBUTES; a++) {
        const float sight = world->behaviours[a].sight;
        world->blind[a] =
            sqrtf(1.0f - sight * sight); /* correctly rounded everywhere, unlike other libm */
    }
}

void sim_world_add_items(sim_world *world)
{
    world->items = (sim_items){.bait_share = 0.5f,
                               .dull = 2.0f,
                               .gall = 3.2f,
                               .harm = 0.8f,
                               .feature_noise = 0.3f,
                               .room = 0.1f};
}
