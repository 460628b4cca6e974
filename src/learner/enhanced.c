/* EnhancedRL (arXiv:2409.11678): the default learner with an action per item. What its lists change
 * of a step is in integrated_critic.c and integrated_actor.c, where one action a row is a list of
 * one. */
#include "learner/integrated.h"

static void enhanced_configure(mtf_algorithm_config *config)
{
    config->critics = config->enhanced.critics;
}

static mtf_status enhanced_open(const mtf_algorithm_config *config, mtf_algorithm **out,
                                mtf_err *err)
{
    *out = NULL;
    if (config->list == 0)
        return mtf_fail(err, MTF_INVALID,
                        "learner.algorithm enhanced takes an action per item: set policy.list to "
                        "the longest list that is shown");
    mtf_algorithm_config own = *config;
    enhanced_configure(&own);
    return mtf_integrated_open(&own, out, err);
}

const mtf_algorithm_ops mtf_enhanced_ops = {
    .name = "enhanced",
    .per_item = true,
    .configure = enhanced_configure,
    .open = enhanced_open,
    .close = mtf_integrated_close,
    .begin_round = mtf_integrated_begin_round,
    .scale_groups = mtf_integrated_scale_groups,
    .step = mtf_integrated_step,
    .act = mtf_integrated_act,
    .value = mtf_integrated_value,
    .save = mtf_integrated_save,
    .load = mtf_integrated_load,
    .actor = mtf_integrated_actor,
    .set_actor = mtf_integrated_set_actor,
    .reinit = mtf_integrated_reinit,
};
