/** Putting a policy record where it belongs: what may be served on the compacted policy topic, and
 *  everything on the history topic. */
#ifndef MTF_PUBLISH_H
#define MTF_PUBLISH_H

#include "client/policy_keys.h"
#include "core/evidence.h"
#include "core/pipe.h"

#define MTF_POLICY_KEY_CHARS 120

typedef struct mtf_policy_topics {
    const char *live, *history; /* settings topics.policy, topics.policy_history */
} mtf_policy_topics;

/** What is to be published: nothing, if none of the four is true. */
typedef struct mtf_policy_draft {
    const mtf_policy *policy; /* borrowed */
    bool history;             /* the record on the history topic, under its name */
    bool live;                /* the same bytes on the policy topic, under its key */
    bool drop_canary;         /* a tombstone of <name>#canary there */
    bool drop_shadow;         /* a tombstone of <name>#shadow there */
} mtf_policy_draft;

/** The record's key on the policy topic: <name>, <name>#canary or <name>#shadow. */
void mtf_policy_key(const mtf_policy_info *info, char key[MTF_POLICY_KEY_CHARS]);
/** Verdict promote or canary. */
bool mtf_policy_is_servable(const mtf_policy_info *info);

/** One begin..commit of the sink: the draft, its record signed if `keys` sign. On failure the sink
 *  has been told to abort. Statuses: those of mtf_policy_encode_signed and of the sink. */
mtf_status mtf_policy_publish(const mtf_policy_draft *draft, const mtf_policy_keys *keys,
                              const mtf_policy_topics *topics, mtf_sink *sink,
                              mtf_err *err) MTF_NODISCARD;

#endif
