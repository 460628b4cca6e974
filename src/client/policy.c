/* A policy in memory: one block of floats that the normaliser and the layers point into, and the
 * plain forward pass over it. The record it travels in is record.c, its payload payload.c. */
#include "client/policy.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/actor.h"
#include "core/hash.h"

/* Points mean, deviation and the layers into `block`; returns how many floats they take. */
static size_t bind(mtf_policy *policy, const uint32_t *widths, uint32_t layer_count, float *block)
{
    const size_t S = widths[0];
    size_t used = 2 * S;
    for (uint32_t i = 0; i < layer_count; i++) {
        used += (size_t)widths[i + 1] * (widths[i] + (size_t)1);
    }
    if (!block) return used;
    policy->mean = block, block += S;
    policy->deviation = block, block += S;
    for (uint32_t i = 0; i < layer_count; i++) {
        mtf_policy_layer *layer = &policy->layers[i];
        layer->inputs = widths[i];
        layer->outputs = widths[i + 1];
        layer->weight = block, block += (size_t)layer->inputs * layer->outputs;
        layer->bias = block, block += layer->outputs;
    }
    return used;
}

mtf_policy *mtf_policy_new(const uint32_t *widths, uint32_t layer_count,
                           const mtf_action_table *table)
{
    MTF_ASSERT(layer_count >= 1 && layer_count <= MTF_POLICY_LAYERS_MAX);
    for (uint32_t i = 0; i <= layer_count; i++) {
        MTF_ASSERT(widths[i] >= 1 && widths[i] <= MTF_POLICY_WIDTH_MAX);
    }
    MTF_ASSERT(table->count == widths[layer_count]);
    mtf_policy *policy = calloc(1, sizeof *policy);
    if (!policy) return NULL;
    policy->block_count = bind(policy, widths, layer_count, NULL);
    policy->block = calloc(policy->block_count, sizeof(float));
    if (!policy->block) {
        free(policy);
        return NULL;
    }
    bind(policy, widths, layer_count, policy->block);
    policy->table = *table;
    policy->state_dim = widths[0];
    policy->action_dim = widths[layer_count];
    policy->layer_count = layer_count;
    memcpy(policy->info.stage, "live", sizeof "live");
    memcpy(policy->info.verdict, "hold", sizeof "hold");
    for (uint32_t i = 0; i < policy->state_dim; i++) policy->deviation[i] = 1;
    return policy;
}

mtf_policy *mtf_policy_constant(uint32_t state_dim, const mtf_action_table *table,
                                const float *action)
{
    const uint32_t widths[] = {state_dim, table->count};
    mtf_policy *policy = mtf_policy_new(widths, 1, table);
    if (!policy) return NULL;
    for (uint32_t d = 0; d < table->count; d++) {
        MTF_ASSERT(action[d] >= -1 && action[d] <= 1);
        /* Beyond 9.5 tanh is 1 to float's last bit; artanh(1) is infinite, which no record may be.
         */
        policy->layers[0].bias[d] = (float)fmax(-9.5, fmin(9.5, atanh(action[d])));
    }
    return policy;
}

mtf_policy *mtf_policy_clone(const mtf_policy *policy)
{
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1] = {policy->state_dim};
    for (uint32_t i = 0; i < policy->layer_count; i++) widths[i + 1] = policy->layers[i].outputs;
    mtf_policy *copy = mtf_policy_new(widths, policy->layer_count, &policy->table);
    if (!copy) return NULL;
    copy->info = policy->info;
    copy->per_item = policy->per_item;
    copy->item_features = policy->item_features;
    memcpy(copy->block, policy->block, policy->block_count * sizeof(float));
    memcpy(copy->sha256, policy->sha256, sizeof copy->sha256);
    copy->is_signed = policy->is_signed;
    memcpy(copy->signature, policy->signature, sizeof copy->signature);
    return copy;
}

void mtf_policy_set_items(mtf_policy *policy, uint32_t features)
{
    MTF_ASSERT(features + policy->table.prediction_count <= policy->state_dim);
    policy->per_item = true;
    policy->item_features = features;
}

uint32_t mtf_policy_user_dim(const mtf_policy *policy)
{
    if (!policy->per_item) return policy->state_dim;
    return policy->state_dim - policy->item_features - policy->table.prediction_count;
}

void mtf_policy_free(mtf_policy *policy)
{
    if (!policy) return;
    mtf_actor_free(policy->actor);
    free(policy->block);
    free(policy);
}

#define ROWS_AT_ONCE 8u /* independent sums hide the latency of each addition */

/* y (outputs) = W x + b; every sum runs over the inputs in order, starting from the bias. */
static void dense(const mtf_policy_layer *layer, const float *x, float *y)
{
    const size_t inputs = layer->inputs;
    uint32_t row = 0;
    for (; row + ROWS_AT_ONCE <= layer->outputs; row += ROWS_AT_ONCE) {
        const float *w = layer->weight + row * inputs;
        float sum[ROWS_AT_ONCE];
        for (uint32_t r = 0; r < ROWS_AT_ONCE; r++) sum[r] = layer->bias[row + r];
        for (size_t i = 0; i < inputs; i++) {
            for (uint32_t r = 0; r < ROWS_AT_ONCE; r++) sum[r] += w[r * inputs + i] * x[i];
        }
        for (uint32_t r = 0; r < ROWS_AT_ONCE; r++) y[row + r] = sum[r];
    }
    for (; row < layer->outputs; row++) {
        const float *w = layer->weight + row * inputs;
        float sum = layer->bias[row];
        for (size_t i = 0; i < inputs; i++) sum += w[i] * x[i];
        y[row] = sum;
    }
}

void mtf_policy_act(const mtf_policy *policy, const float *state, float *action)
{
    float x[MTF_POLICY_WIDTH_MAX], y[MTF_POLICY_WIDTH_MAX];
    for (uint32_t i = 0; i < policy->state_dim; i++) {
        const float normalised = (state[i] - policy->mean[i]) / policy->deviation[i];
        x[i] = isfinite(normalised) ? normalised : 0;
    }
    const uint32_t last = policy->layer_count - 1;
    for (uint32_t i = 0; i < last; i++) {
        dense(&policy->layers[i], x, y);
        for (uint32_t j = 0; j < policy->layers[i].outputs; j++) x[j] = y[j] > 0 ? y[j] : 0;
    }
    dense(&policy->layers[last], x, y);
    /* Finite inputs near the end of float's range can still meet as infinity minus infinity: the
     * middle of the range is then the action, never NaN. */
    for (uint32_t i = 0; i < policy->action_dim; i++) action[i] = isnan(y[i]) ? 0 : tanhf(y[i]);
}

void mtf_policy_act_items(const mtf_policy *policy, const float *state, uint32_t items,
                          const float *features, const float *predictions, float *actions)
{
    const size_t S = mtf_policy_user_dim(policy), F = policy->item_features;
    const size_t P = policy->table.prediction_count;
    float seen[MTF_POLICY_WIDTH_MAX];
    MTF_ASSERT(policy->per_item);
    memcpy(seen, state, S * sizeof *seen);
    for (size_t i = 0; i < items; i++) {
        if (F) memcpy(seen + S, features + i * F, F * sizeof *seen);
        memcpy(seen + S + F, predictions + i * P, P * sizeof *seen);
        mtf_policy_act(policy, seen, actions + i * policy->action_dim);
    }
}

static mtf_policy_number *find_number(mtf_policy_info *info, const char *name)
{
    for (uint32_t i = 0; i < info->number_count; i++) {
        if (strcmp(info->numbers[i].name, name) == 0) return &info->numbers[i];
    }
    return NULL;
}

void mtf_policy_set_number(mtf_policy_info *info, const char *name, double value)
{
    mtf_policy_number *number = find_number(info, name);
    if (!number) {
        MTF_ASSERT(info->number_count < MTF_POLICY_NUMBERS_MAX);
        MTF_ASSERT(strlen(name) < sizeof number->name);
        number = &info->numbers[info->number_count++];
        *number = (mtf_policy_number){0};
        memcpy(number->name, name, strlen(name) + 1);
    }
    number->value = value;
}

bool mtf_policy_canary_serves(const mtf_policy *canary, mtf_str user_id)
{
    char version[24];
    uint8_t hash[16];
    uint64_t lot = 0;
    snprintf(version, sizeof version, "%" PRId64, canary->info.version);
    const mtf_str parts[] = {mtf_str_of(version), user_id};
    mtf_hash128(hash, parts, 2);
    for (int i = 0; i < 8; i++) lot = lot << 8 | hash[i];
    const double share = mtf_policy_get_number(&canary->info, MTF_CANARY_PERCENT) / 100;
    return (double)(lot >> 11) * 0x1p-53 < share; /* not of NaN */
}

double mtf_policy_get_number(const mtf_policy_info *info, const char *name)
{
    for (uint32_t i = 0; i < info->number_count; i++) {
        if (strcmp(info->numbers[i].name, name) == 0) return info->numbers[i].value;
    }
    return NAN;
}
