/** Is the candidate better than the policy that logged? What the gate asks, on held-out users, with
 *  errors by user. */
#ifndef MTF_EVALUATE_H
#define MTF_EVALUATE_H

#include "core/evidence.h"
#include "learner/algorithm.h"
#include "learner/bootstrap.h"
#include "learner/cohort.h"
#include "learner/fqe.h"
#include "learner/gauc.h"
#include "learner/importance.h"

/** b(s): ridge regression of the return to go on [1, s, q], fitted on training users. Any function
 *  of the state keeps the estimator unbiased; a good one lowers its variance. */
typedef struct mtf_baseline {
    uint32_t state_dim;
    double *beta; /* (S + 2,) */
} mtf_baseline;

/** q (N,): Q(s, bp(s)) of the cohort's rows. Zero without eligible rows. */
mtf_status mtf_baseline_fit(const mtf_cohort *cohort, const float *q, mtf_baseline *baseline,
                            mtf_err *err) MTF_NODISCARD;
void mtf_baseline_fini(mtf_baseline *baseline);
/** b (N,) out. */
void mtf_baseline_at(const mtf_baseline *baseline, const mtf_cohort *cohort, const float *q,
                     double *b);

/** The first-order box estimator (spec 5, [D]): the weighted mean over eligible rows of
 *  (G - b) sum_d 12 (a_d - mid_d)(mu_d - bp_d) / width_d^2, mid and width of the row's own box, mu
 *  clipped to it, dimensions of zero width left out. Uniform exploration has E[a - mid] = 0 and
 *  E[(a - mid)^2] = width^2 / 12, so that its expectation is the gain in G, to first order in mu -
 *  bp, of taking mu instead of bp at one step. */
typedef struct mtf_first_order {
    mtf_estimate gain;
    int64_t rows, users;  /* eligible */
    int64_t apart;        /* of them: rows whose items were drawn apart, see below */
    double outside_share; /* of their action dimensions: mu outside the box by > 0.05 */
    double drift[MTF_POLICY_ACTIONS_MAX];  /* mean mu_d - bp_d, not clipped */
    double effect[MTF_POLICY_ACTIONS_MAX]; /* dimension d's share of the gain */
} mtf_first_order;

/** mu (N,A), b (N,). draws: of the bootstrap. NaN estimates without eligible rows. Of lists, the
 * gain of moving all items alike, by the mean move of those shown, where one draw was for all.
 * Where each item had a draw of its own there is no estimate: an item is shown because of its draw,
 * so that the draws of what was shown are not uniform, and those of the rest were never logged. */
mtf_status mtf_first_order_make(const mtf_cohort *cohort, const float *mu, const double *b,
                                int64_t draws, uint64_t seed, mtf_first_order *out,
                                mtf_err *err) MTF_NODISCARD;

/** The first-order gain of each part's rows alone; none where a part has fewer than 30 users. Part
 *  by part the same draws of users as the whole. */
mtf_status mtf_parts_make(const mtf_cohort *cohort, const float *mu, const double *b, int64_t draws,
                          uint64_t seed, mtf_estimate out[MTF_PARTS], mtf_err *err) MTF_NODISCARD;

/** The correlation of q (N,) with G over eligible rows. */
mtf_status mtf_skill_make(const mtf_cohort *cohort, const float *q, int64_t draws, uint64_t seed,
                          mtf_estimate *out, mtf_err *err) MTF_NODISCARD;

typedef struct mtf_evaluation {
    mtf_first_order first_order;
    mtf_estimate parts[MTF_PARTS];
    mtf_one_step ncis;     /* smoothed as it would explore, weights capped at 100 */
    mtf_session_value fqe; /* fitted on training users */
    mtf_estimate skill;
    double consumed_gain;   /* mean reward of held-out items validly consumed, less that of all */
    mtf_estimate gauc_gain; /* by user, paired */
    double gauc_baseline, gauc_policy;                 /* by user */
    double gauc_baseline_request, gauc_policy_request; /* by request */
} mtf_evaluation;

typedef struct mtf_evaluation_config {
    const mtf_cohort *heldout, *training;
    const mtf_action_table *table;
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithm;
    double half_width;  /* of the box the candidate would explore: smooths it for ncis */
    mtf_fqe_config fqe; /* steps 0: none */
    uint32_t fqe_refits;
    mtf_fits fits; /* what fqe runs on; not read without it */
    int64_t draws;
    uint64_t seed;
} mtf_evaluation_config;

/** Nothing measured. */
mtf_evaluation mtf_evaluation_none(void);
/** All of it for the algorithm's actor. MTF_CLOSED: fqe was told to stop. */
mtf_status mtf_evaluate(const mtf_evaluation_config *config, mtf_evaluation *out,
                        mtf_err *err) MTF_NODISCARD;

#endif
