/** Whether a policy and this process mean the same by a state: the setting policy.state, a schema
 *  as mtf_state_schema_parse of client/mtf.h takes it, against the id in the policy's record. */
#ifndef MTF_PUBLISH_POLICY_STATES_H
#define MTF_PUBLISH_POLICY_STATES_H

#include "client/policy.h"
#include "core/settings.h"

/** id: of the setting's schema, "" when it is not set. MTF_INVALID: it is malformed, or makes other
 *  than policy.state_dim floats; MTF_NOMEM. */
mtf_status mtf_policy_states_id(const mtf_settings *settings, char id[17],
                                mtf_err *err) MTF_NODISCARD;
/** MTF_INVALID when the policy names a schema that is not `id`, with the way out. One that names
 *  none takes any floats. */
mtf_status mtf_policy_states_check(const char *id, const mtf_policy *policy,
                                   mtf_err *err) MTF_NODISCARD;

#endif
