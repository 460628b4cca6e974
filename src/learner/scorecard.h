/** Every metric of a policy on rows that another one explored, each with its interval by user: what
 *  `mtf evaluate` prints. What each assumes is said where it is made: learner/evaluate.h (first
 *  order), importance.h (NCIS), reward_model.h (doubly robust), fqe.h (sessions' values), gauc.h.
 *
 *  The models in between (the first-order estimator's baseline, the doubly robust one's reward,
 *  fitted Q) never judge a user that they were fitted on: either `training` holds other users than
 *  `judged`, or the judged users are halved and each half is judged by models of the other. */
#ifndef MTF_SCORECARD_H
#define MTF_SCORECARD_H

#include "learner/evaluate.h"
#include "learner/reward_model.h"

#define MTF_SCORES_MAX 24

typedef struct mtf_score {
    const char *name; /* "fqe.gain" */
    const char *what; /* a line for people, units included */
    mtf_estimate estimate;
} mtf_score;

typedef struct mtf_scorecard {
    size_t count;
    mtf_score scores[MTF_SCORES_MAX];
    int64_t rows, users, sessions; /* judged: logged rows, whose they are */
    double outside_share;          /* of action dimensions: the policy leaves the box by > 0.05 */
    double support, effective;     /* of the importance weights: importance.h */
    int64_t gauc_skipped_users, gauc_skipped_requests; /* without both kinds of items */
    double drift[MTF_POLICY_ACTIONS_MAX];              /* mean mu_d - bp_d */
    double effect[MTF_POLICY_ACTIONS_MAX];             /* dimension d's share of first_order.gain */
    uint32_t action_dim;
} mtf_scorecard;

typedef struct mtf_scorecard_config {
    const mtf_cohort *judged;   /* with mu */
    const mtf_cohort *training; /* with mu; NULL: halves */
    const mtf_action_table *table;
    mtf_smoothing smoothing; /* its mu is not used: the cohort's is */
    double cap;              /* of importance weights */
    mtf_gauc_mean gauc_mean;
    bool gauc_plain;
    int64_t draws;      /* of every bootstrap without refits */
    uint32_t refits;    /* of networks */
    mtf_fqe_config fqe; /* of all models that are networks; its alpha and stop too. steps 0: none of
                           them, and no metric that needs one */
    uint64_t seed;
    mtf_fits fits;
} mtf_scorecard_config;

/** A function of its arguments alone, whatever the pool's threads. MTF_SKIP: no row to judge on, or
 *  none to fit a model to. MTF_CLOSED: told to stop. */
mtf_status mtf_scorecard_make(const mtf_scorecard_config *config, mtf_scorecard *out,
                              mtf_err *err) MTF_NODISCARD;
/** NULL: there is no metric of this name. */
const mtf_estimate *mtf_scorecard_find(const mtf_scorecard *card, const char *name);

#endif
