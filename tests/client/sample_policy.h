/** A policy with everything in it, for the tests of its record, its payload and its publication. */
#ifndef MTF_SAMPLE_POLICY_H
#define MTF_SAMPLE_POLICY_H

#include "client/policy.h"
#include "core/rng.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_ACTIONS                                                                             \
    "valid.pow=0..2 watch.pow=0.25..3 valid.bias=0.01..0.51 watch.bias=0.01..0.51"

/** Random weights of the size a trained actor has, a normaliser that is not the identity, every
 *  text and number set. Two hidden layers of `hidden`; 4 actions. */
static inline mtf_policy *sample_policy(uint64_t seed, uint32_t state_dim, uint32_t hidden)
{
    mtf_action_table table;
    mtf_rng rng = mtf_rng_of(seed, 77);
    const uint32_t widths[] = {state_dim, hidden, hidden, 4};
    if (mtf_action_table_parse(&table, SAMPLE_ACTIONS, NULL)) return NULL;
    mtf_policy *policy = mtf_policy_new(widths, 3, &table);
    if (!policy) return NULL;
    for (uint32_t l = 0; l < policy->layer_count; l++) {
        mtf_policy_layer *layer = &policy->layers[l];
        const size_t count = (size_t)layer->inputs * layer->outputs;
        const double scale = 1.4142135623730951 / (0.5 + 0.01 * layer->inputs) / 4;
        for (size_t i = 0; i < count; i++) layer->weight[i] = (float)(scale * mtf_rng_normal(&rng));
        for (uint32_t i = 0; i < layer->outputs; i++) {
            layer->bias[i] = (float)(0.1 * mtf_rng_normal(&rng));
        }
    }
    for (uint32_t i = 0; i < state_dim; i++) {
        policy->mean[i] = (float)(3 * mtf_rng_normal(&rng));
        policy->deviation[i] = (float)(0.1 + 2 * mtf_rng_uniform(&rng));
    }
    mtf_policy_info *info = &policy->info;
    snprintf(info->name, sizeof info->name, "sample");
    snprintf(info->verdict, sizeof info->verdict, "promote");
    snprintf(info->algorithm, sizeof info->algorithm, "integrated");
    snprintf(info->reason, sizeof info->reason, "z 2.10 \xe2\x89\xa5 1.00");
    snprintf(info->parent_checkpoint, sizeof info->parent_checkpoint, "%064d", 7);
    info->version = 3, info->parent = 2, info->round = 2;
    info->created_ms = 1700000000123;
    info->box = 0.15F;
    mtf_policy_set_number(info, "gate.z", 2.1);
    mtf_policy_set_number(info, "q_mean", -1.25);
    info->offset_count = 3;
    for (int i = 0; i < 3; i++) info->offsets[i] = (mtf_policy_offset){i, 1000 * i + 17};
    return policy;
}

#endif
