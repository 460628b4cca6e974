#include "learner/export.h"

#include <string.h>

mtf_policy *mtf_export_zeros(const mtf_row_shape *shape, const mtf_action_table *table,
                             const uint32_t *widths, uint32_t layers)
{
    mtf_policy *policy = mtf_policy_new(widths, layers, table);
    if (policy && shape->list) mtf_policy_set_items(policy, shape->feature_count);
    return policy;
}

mtf_status mtf_export_actor(const mtf_algorithm_ops *ops, const mtf_algorithm *algorithm,
                            const mtf_normaliser *normaliser, const mtf_row_shape *shape,
                            const mtf_action_table *table, mtf_policy **out, mtf_err *err)
{
    uint32_t widths[MTF_POLICY_LAYERS_MAX + 1];
    const float *weights[MTF_POLICY_LAYERS_MAX], *biases[MTF_POLICY_LAYERS_MAX];
    const uint32_t layers = ops->actor(algorithm, widths, weights, biases);
    mtf_policy *policy = mtf_export_zeros(shape, table, widths, layers);
    if (!policy) return mtf_fail(err, MTF_NOMEM, "no memory for the candidate's policy");
    mtf_normaliser_narrow(normaliser, shape, policy->mean, policy->deviation);
    for (uint32_t i = 0; i < layers; i++) {
        mtf_policy_layer *layer = &policy->layers[i];
        memcpy(layer->weight, weights[i], (size_t)layer->inputs * layer->outputs * sizeof(float));
        memcpy(layer->bias, biases[i], layer->outputs * sizeof(float));
    }
    *out = policy;
    return MTF_OK;
}
