/** What changed between two versions of a policy: the words and numbers of their records, and what
 *  the networks do, asked at states as they come (normal, by the newer one's mean and deviation,
 * the same ones every time). */
#ifndef MTF_POLICY_DIFF_H
#define MTF_POLICY_DIFF_H

#include "client/policy.h"

#define MTF_POLICY_DIFF_STATES 1000

typedef struct mtf_policy_diff {
    const mtf_policy *from, *to;         /* borrowed */
    bool comparable;                     /* the same states and action table: the rest is known */
    bool same_network;                   /* normaliser and layers, bit for bit */
    double move[MTF_POLICY_ACTIONS_MAX]; /* mean of to's action less from's, in [-1,1] units */
    double distance[MTF_POLICY_ACTIONS_MAX]; /* mean of its absolute value */
    double outside; /* share of action dimensions further from from's action than from's box */
} mtf_policy_diff;

/** May one serve where the other does: the same states, the same action table. */
bool mtf_policy_same_shape(const mtf_policy *a, const mtf_policy *b);

/** MTF_NOMEM. */
mtf_status mtf_policy_diff_make(const mtf_policy *from, const mtf_policy *to, mtf_policy_diff *diff,
                                mtf_err *err) MTF_NODISCARD;
/** Appends lines "name  old -> new" of what differs, nothing of what is equal. */
void mtf_policy_diff_text(const mtf_policy_diff *diff, mtf_buf *out);
/** Appends the same as one JSON object: "fields" and "metrics" map names to [old, new], numbers
 * that one does not have are null; "actions" and what follows are null unless comparable.
 * MTF_NOMEM. */
mtf_status mtf_policy_diff_json(const mtf_policy_diff *diff, mtf_buf *out,
                                mtf_err *err) MTF_NODISCARD;

#endif
