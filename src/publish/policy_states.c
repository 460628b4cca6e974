#include "publish/policy_states.h"

#include <inttypes.h>

#include "client/face.h"

mtf_status mtf_policy_states_id(const mtf_settings *settings, char id[17], mtf_err *err)
{
    mtf_state_schema *schema;
    mtf_err cause = {0};
    id[0] = '\0';
    if (!settings->policy_state[0]) return MTF_OK;
    mtf_status status = mtf_state_schema_parse(settings->policy_state, &schema, &cause);
    if (status != MTF_OK) return mtf_fail(err, status, "policy.state: %s", cause.msg);
    const uint32_t dim = mtf_state_schema_dim(schema);
    if (dim == settings->policy_state_dim)
        memcpy(id, mtf_state_schema_id(schema), 17);
    else
        status = mtf_fail(err, MTF_INVALID,
                          "policy.state: its fields make %" PRIu32 " floats, policy.state_dim is "
                          "%" PRId64 ": set that to %" PRIu32,
                          dim, settings->policy_state_dim, dim);
    mtf_state_schema_free(schema);
    return status;
}

mtf_status mtf_policy_states_check(const char *id, const mtf_policy *policy, mtf_err *err)
{
    const mtf_policy_info *info = &policy->info;
    if (!info->state_schema[0] || strcmp(info->state_schema, id) == 0) return MTF_OK;
    return mtf_fail(
        err, MTF_INVALID,
        "policy %s version %" PRId64 " takes states of schema %s, and policy.state %s%s: "
        "give it the text the version was trained with, or train the new states under "
        "another policy.name",
        info->name, info->version, info->state_schema, id[0] ? "is " : "is not set", id);
}
