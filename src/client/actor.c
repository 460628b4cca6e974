#include "client/actor_inside.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#if defined(__x86_64__)
#define LANES   16
#define TARGET  __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))
#define NAME(x) avx512_##x
#include "client/actor_kernel.inc"
#define LANES   8
#define TARGET  __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#include "client/actor_kernel.inc"
#endif
#define LANES 4
#define TARGET
#define NAME(x) portable_##x
#include "client/actor_kernel.inc"

#define ALIGNMENT 64

static void choose(mtf_actor *actor, mtf_simd widest)
{
    const mtf_simd best = mtf_simd_best();
    actor->simd = widest < best ? widest : best;
    actor->act = portable_act;
    actor->act_items = portable_act_items;
#if defined(__x86_64__)
    if (actor->simd == MTF_SIMD_AVX2) actor->act = avx2_act, actor->act_items = avx2_act_items;
    if (actor->simd == MTF_SIMD_AVX512)
        actor->act = avx512_act, actor->act_items = avx512_act_items;
#endif
}

/* Outputs that the tiles of a layer have. */
static size_t padded(const mtf_actor_layer *layer)
{
    return (size_t)layer->wide * MTF_ACTOR_WIDE + (size_t)layer->narrow * MTF_ACTOR_NARROW;
}

static mtf_actor_layer shape_of(const mtf_policy_layer *layer)
{
    const uint32_t rest = layer->outputs % MTF_ACTOR_WIDE;
    return (mtf_actor_layer){.inputs = layer->inputs,
                             .outputs = layer->outputs,
                             .wide = layer->outputs / MTF_ACTOR_WIDE,
                             .narrow = (rest + MTF_ACTOR_NARROW - 1) / MTF_ACTOR_NARROW};
}

/* One layer's weights and biases to `at`, which holds zeros; returns what comes behind them. */
static float *pack(const mtf_policy_layer *from, mtf_actor_layer *to, float *at)
{
    float *weight = at, *bias = at + padded(to) * to->inputs;
    const uint32_t wide = to->wide * MTF_ACTOR_WIDE;
    for (uint32_t o = 0; o < to->outputs; o++) {
        const uint32_t width = o < wide ? MTF_ACTOR_WIDE : MTF_ACTOR_NARROW;
        const uint32_t first = o < wide ? o / width * width : wide + (o - wide) / width * width;
        for (uint32_t i = 0; i < to->inputs; i++) {
            weight[(size_t)first * to->inputs + (size_t)i * width + (o - first)] =
                from->weight[(size_t)o * to->inputs + i];
        }
        bias[o] = from->bias[o];
    }
    to->weight = weight;
    to->bias = bias;
    return bias + padded(to);
}

mtf_actor *mtf_actor_new_for(const mtf_policy *policy, mtf_simd widest)
{
    mtf_actor *actor = calloc(1, sizeof *actor);
    if (!actor) return NULL;
    choose(actor, widest);
    actor->state_dim = policy->state_dim;
    actor->action_dim = policy->action_dim;
    actor->layer_count = policy->layer_count;
    if (policy->per_item) {
        actor->item_features = policy->item_features;
        actor->predictions = policy->table.prediction_count;
    }
    size_t floats = 2 * (size_t)policy->state_dim + ALIGNMENT;
    for (uint32_t l = 0; l < policy->layer_count; l++) {
        actor->layers[l] = shape_of(&policy->layers[l]);
        floats += padded(&actor->layers[l]) * (actor->layers[l].inputs + (size_t)1);
    }
    actor->block_bytes = (floats * sizeof(float) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    actor->block = aligned_alloc(ALIGNMENT, actor->block_bytes);
    if (!actor->block) {
        free(actor);
        return NULL;
    }
    memset(actor->block, 0, actor->block_bytes);
    float *at = actor->block;
    for (uint32_t l = 0; l < policy->layer_count; l++)
        at = pack(&policy->layers[l], &actor->layers[l], at);
    memcpy(at, policy->mean, policy->state_dim * sizeof(float));
    actor->mean = at, at += policy->state_dim;
    memcpy(at, policy->deviation, policy->state_dim * sizeof(float));
    actor->deviation = at;
    return actor;
}

mtf_actor *mtf_actor_new(const mtf_policy *policy)
{
    return mtf_actor_new_for(policy, MTF_SIMD_AVX512);
}

void mtf_actor_free(mtf_actor *actor)
{
    if (!actor) return;
    free(actor->block);
    free(actor);
}

void mtf_actor_run(const mtf_actor *actor, const float *state, float *action)
{
    actor->act(actor, state, action);
}

void mtf_actor_run_items(const mtf_actor *actor, const float *state, uint32_t items,
                         const float *features, const float *predictions, float *actions)
{
    MTF_ASSERT(actor->predictions > 0);
    actor->act_items(actor, state, items, features, predictions, actions);
}

mtf_simd mtf_actor_simd(const mtf_actor *actor)
{
    return actor->simd;
}

size_t mtf_actor_bytes(const mtf_actor *actor)
{
    return actor->block_bytes;
}
