/** A trained actor as a policy that serves. */
#ifndef MTF_EXPORT_H
#define MTF_EXPORT_H

#include "client/policy.h"
#include "learner/algorithm.h"
#include "learner/feed.h"

/** Its layers and the normaliser; the record's words are the caller's to add. The algorithm has an
 *  actor (its ops). MTF_NOMEM. */
mtf_status mtf_export_actor(const mtf_algorithm_ops *ops, const mtf_algorithm *algorithm,
                            const mtf_normaliser *normaliser, const mtf_action_table *table,
                            mtf_policy **policy, mtf_err *err) MTF_NODISCARD;

#endif
