#include "learner/export.h"

#include <string.h>

mtf_status mtf_export_actor(const mtf_algorithm_ops *ops, const mtf_algorithm *algorithm,
                            const mtf_normaliser *normaliser, const mtf_action_table *table,
                            mtf_policy **out, mtf_err *err)
{
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1];
    const float *weights[MTF_POLICY_LAYERS_MAX], *biases[MTF_POLICY_LAYERS_MAX];
    const uint32_t layers = ops->actor(algorithm, widths, weights, biases);
    mtf_policy *policy = mtf_policy_new(widths, layers, table);
    if (!policy) return mtf_fail(err, MTF_NOMEM, "no memory for the candidate's policy");
    memcpy(policy->mean, normaliser->mean, normaliser->state_dim * sizeof(float));
    memcpy(policy->deviation, normaliser->deviation, normaliser->state_dim * sizeof(float));
    for (uint32_t i = 0; i < layers; i++) {
        mtf_policy_layer *layer = &policy->layers[i];
        memcpy(layer->weight, weights[i], (size_t)layer->inputs * layer->outputs * sizeof(float));
        memcpy(layer->bias, biases[i], layer->outputs * sizeof(float));
    }
    *out = policy;
    return MTF_OK;
}
