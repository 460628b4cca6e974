/** Putting a policy record where it belongs: what may be served on the compacted policy topic, and
 *  everything on the history topic. */
#ifndef MTF_PUBLISH_H
#define MTF_PUBLISH_H

#include "client/policy.h"
#include "client/policy_keys.h"
#include "core/evidence.h"
#include "core/pipe.h"

#define MTF_POLICY_KEY_CHARS 120

typedef struct mtf_policy_topics {
    const char *live, *history; /* settings topics.policy, topics.policy_history */
} mtf_policy_topics;

/** The record's key on the policy topic: <name>, <name>#canary or <name>#shadow. */
void mtf_policy_key(const mtf_policy_info *info, char key[MTF_POLICY_KEY_CHARS]);
/** Verdict promote or canary. */
bool mtf_policy_is_servable(const mtf_policy_info *info);

/** One begin..commit of the sink: the record, signed if `keys` sign, on the history topic under its
 * name and, if servable, the same bytes on the policy topic. On failure the sink has been told to
 * abort. Statuses: those of mtf_policy_encode_signed and of the sink. */
mtf_status mtf_policy_publish(const mtf_policy *policy, const mtf_policy_keys *keys,
                              const mtf_policy_topics *topics, mtf_sink *sink,
                              mtf_err *err) MTF_NODISCARD;

/** Compare and set: whoever holds the transactional id reads the policy topic to its end and asks
 *  this before publishing. A promotion whose parent is no longer the head (NULL: there is none)
 *  becomes a hold, parent_changed. A head that is the candidate itself is a publication repeated
 *  after a crash, and stays promoted. */
void mtf_policy_compare(const mtf_policy *head, const mtf_policy *candidate, mtf_verdict *verdict);

#endif
