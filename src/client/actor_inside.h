/** Inside of an actor, for actor.c and actor_kernel.inc only. */
#ifndef MTF_CLIENT_ACTOR_INSIDE_H
#define MTF_CLIENT_ACTOR_INSIDE_H

#include "client/actor.h"

#define MTF_ACTOR_WIDE   64 /* outputs of a tile ... */
#define MTF_ACTOR_NARROW 16 /* ... and of those that take the rest */

/** weight: wide tiles, then narrow ones; a tile holds inputs x its width, an input's weights in a
 *  row. bias: as many outputs as all tiles have. Outputs beyond the layer's are zeros. */
typedef struct mtf_actor_layer {
    uint32_t inputs, outputs, wide, narrow;
    const float *weight, *bias;
} mtf_actor_layer;

struct mtf_actor {
    uint32_t state_dim, action_dim, layer_count;
    uint32_t item_features, predictions; /* the last inputs, of an item; 0, 0: one action */
    mtf_simd simd;
    void (*act)(const mtf_actor *actor, const float *state, float *action);
    void (*act_items)(const mtf_actor *actor, const float *state, uint32_t items,
                      const float *features, const float *predictions, float *actions);
    const float *mean, *deviation;
    mtf_actor_layer layers[MTF_POLICY_LAYERS_MAX];
    float *block; /* owns every float above, on a cache line */
    size_t block_bytes;
};

#endif
