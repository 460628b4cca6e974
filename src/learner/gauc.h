/** Weighted AUC and its mean over groups: how well an action ranks what was shown. Myopic and
 * biased by exposure: a sanity figure, no proof of value. */
#ifndef MTF_GAUC_H
#define MTF_GAUC_H

#include "client/policy.h"
#include "learner/cohort.h"

/** An item as one group's AUC sees it. */
typedef struct mtf_auc_item {
    float score, weight; /* weight > 0 */
    bool positive;
} mtf_auc_item;

/** sum over pairs (p positive, n negative) of w_p w_n (1[s_p > s_n] + 1/2 1[s_p = s_n]), over
 *  sum w_p * sum w_n; O(n log n). Sorts items. False: all positive or all negative, no AUC. */
bool mtf_weighted_auc(mtf_auc_item *items, size_t count, double *auc);

typedef enum mtf_gauc_group { MTF_GAUC_USER, MTF_GAUC_REQUEST } mtf_gauc_group;

/** Mean AUC over users or requests, weighted by impressions; of eligible rows. Scores: formula 1 of
 *  arXiv:2404.17589 under action (N,A); an item's weight: its reward + 1, at least 1e-6. NaN where
 * no group has both kinds. */
mtf_status mtf_gauc(const mtf_cohort *cohort, const mtf_action_table *table, const float *action,
                    mtf_gauc_group group, double *gauc, mtf_err *err) MTF_NODISCARD;

#endif
