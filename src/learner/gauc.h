/** Weighted AUC and its mean over groups, arXiv:2404.17589's offline metric: how well a policy's
 *  scores rank what was shown. It assumes that what was shown stands for what could have been, and
 *  that a session is worth what its lists are: myopic and biased by exposure, a sanity figure, no
 *  proof of value. */
#ifndef MTF_GAUC_H
#define MTF_GAUC_H

#include "client/policy.h"
#include "learner/bootstrap.h"
#include "learner/cohort.h"

/** An item as one group's AUC sees it. */
typedef struct mtf_auc_item {
    float score, weight; /* weight > 0 */
    bool positive;
} mtf_auc_item;

/** sum over pairs (p positive, n negative) of w_p w_n (1[s_p > s_n] + 1/2 1[s_p = s_n]), over
 *  sum w_p * sum w_n; O(n log n). Sorts items. False: all positive or all negative, no AUC. */
bool mtf_weighted_auc(mtf_auc_item *items, size_t count, double *auc);

typedef enum mtf_gauc_group {
    MTF_GAUC_USER,   /* the paper's: all lists of a user together */
    MTF_GAUC_REQUEST /* fairer: scores of two requests cannot be compared */
} mtf_gauc_group;

/** What a group counts in the mean. */
typedef enum mtf_gauc_mean {
    MTF_GAUC_IMPRESSIONS, /* its items */
    MTF_GAUC_WEIGHTS,     /* the sum of its items' weights */
    MTF_GAUC_EQUAL
} mtf_gauc_mean;

typedef struct mtf_gauc_options {
    mtf_gauc_group group;
    mtf_gauc_mean mean;
    bool plain; /* items weigh 1 each, not their reward + 1 */
} mtf_gauc_options;

typedef struct mtf_gauc_figures {
    mtf_estimate policy, baseline;
    mtf_estimate gain; /* policy - baseline, paired: both rank the same lists */
    int64_t skipped;   /* groups without both kinds of items; the estimates' rows are the others */
} mtf_gauc_figures;

/** The mean AUC over groups of eligible rows, under the action policy (N,A) and under baseline
 *  (N,A). Scores: formula 1; an item's weight: its reward + 1, at least 1e-6; positive: validly
 *  consumed. Errors by user, whatever the group. */
mtf_status mtf_gauc_make(const mtf_cohort *cohort, const mtf_action_table *table,
                         const float *policy, const float *baseline,
                         const mtf_gauc_options *options, int64_t draws, uint64_t seed,
                         mtf_gauc_figures *out, mtf_err *err) MTF_NODISCARD;

/** The value alone under action (N,A), groups counted by impressions: for a search that asks it
 *  often. NaN where no group has both kinds. */
mtf_status mtf_gauc(const mtf_cohort *cohort, const mtf_action_table *table, const float *action,
                    mtf_gauc_group group, double *gauc, mtf_err *err) MTF_NODISCARD;

#endif
