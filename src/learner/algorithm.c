#include "learner/algorithm.h"

#include "learner/integrated.h"
#include "learner/rivals.h"

#include <string.h>

static const mtf_algorithm_ops *const algorithms[] = {
    &mtf_integrated_ops, &mtf_ddpg_ops,    &mtf_td3bc_ops,   &mtf_iql_ops,
    &mtf_cql_sac_ops,    &mtf_batchrl_ops, &mtf_enhanced_ops};

const mtf_algorithm_ops *mtf_algorithm_find(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (strcmp(algorithms[i]->name, name) == 0) return algorithms[i];
    }
    return NULL;
}

mtf_status mtf_algorithm_check_batch(const mtf_algorithm_config *config, const mtf_batch *batch,
                                     mtf_err *err)
{
    if (batch->rows == config->batch && batch->state_dim == config->state_dim &&
        batch->action_dim == config->action_dim)
        return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "a batch of %zu rows, %u states, %u actions given to a learner opened for "
                    "%u, %u, %u",
                    batch->rows, batch->state_dim, batch->action_dim, config->batch,
                    config->state_dim, config->action_dim);
}

mtf_status mtf_algorithm_check(const mtf_algorithm_rule *rules, size_t count, mtf_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (!(rules[i].value >= rules[i].low && rules[i].value <= rules[i].high)) {
            return mtf_fail(err, MTF_INVALID, "%s is %g: must be within %g and %g", rules[i].name,
                            rules[i].value, rules[i].low, rules[i].high);
        }
    }
    return MTF_OK;
}
