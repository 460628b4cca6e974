/** A trained actor as a policy that serves. */
#ifndef MTF_EXPORT_H
#define MTF_EXPORT_H

#include "client/policy.h"
#include "learner/algorithm.h"
#include "learner/feed.h"

/** An owned policy of zeros (mtf_policy_new) for such requests as gave rows of this shape: with an
 *  action per item where they have lists. NULL: no memory. */
mtf_policy *mtf_export_zeros(const mtf_row_shape *shape, const mtf_action_table *table,
                             const uint32_t *widths, uint32_t layers);
/** The layers and the normaliser of what learned from rows of this shape; the record's words are
 *  the caller's to add. The algorithm has an actor (its ops). MTF_NOMEM. */
mtf_status mtf_export_actor(const mtf_algorithm_ops *ops, const mtf_algorithm *algorithm,
                            const mtf_normaliser *normaliser, const mtf_row_shape *shape,
                            const mtf_action_table *table, mtf_policy **policy,
                            mtf_err *err) MTF_NODISCARD;

#endif
