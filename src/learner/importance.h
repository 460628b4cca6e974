/** The one-step value of a policy from what another one explored: NCIS and the doubly robust
 *  estimator. Both ask what a request brings, formula 2 of arXiv:2404.17589, at the states that
 *  were logged; neither says anything of what comes after it.
 *
 *  The evaluated policy is smoothed, since a single point has no density: it acts uniformly in the
 *  box of half-width h about mu(s), cut to [-1,1]. The logging density is known exactly, that of
 *  the row's own box. A dimension that was not explored (zero width) is taken as it was logged.
 *
 *  They assume that rows were explored uniformly in their boxes and that what the user does hangs
 *  on the state and the action alone. Beyond the logged box there is nothing to weigh: `support`
 *  says how much of the smoothed policy lies within. NCIS then values the part that does; the
 *  doubly robust estimator takes the model's word for the rest.
 *
 *  In ten dimensions weights have little power: a box h = half of the logged one makes them 2^10,
 *  and nearly all rows count nothing. `effective` says how many rows are left. */
#ifndef MTF_IMPORTANCE_H
#define MTF_IMPORTANCE_H

#include "learner/bootstrap.h"
#include "learner/cohort.h"

typedef struct mtf_smoothing {
    const float *mu;   /* (N,A) */
    double half_width; /* h > 0 */
} mtf_smoothing;

typedef struct mtf_one_step {
    mtf_estimate value; /* of a request under the smoothed policy */
    mtf_estimate gain;  /* over what was served, exploration included; paired */
    double support;     /* of the smoothed policy's volume, the mean share inside the rows' boxes */
    double effective;   /* rows, (sum of weights)^2 / sum of their squares */
} mtf_one_step;

/** rho (N,) out: density of the smoothed policy over that of the logging at the logged action; 0
 *  where not logged. */
void mtf_importance(const mtf_cohort *cohort, const mtf_smoothing *smoothing, double *rho);

/** action (N,A) out: draw number `draw` of the smoothed policy, a function of (seed, draw, row). */
void mtf_smoothing_draw(const mtf_cohort *cohort, const mtf_smoothing *smoothing, uint64_t seed,
                        uint64_t draw, float *action);

/** sum min(cap, rho) r / sum min(cap, rho) over logged rows: normalised capped importance sampling,
 *  arXiv:1801.07030. Its bias vanishes with 1 / rows where support is 1 and nothing is capped. */
mtf_status mtf_ncis_make(const mtf_cohort *cohort, const mtf_smoothing *smoothing, double cap,
                         int64_t draws, uint64_t seed, mtf_one_step *out,
                         mtf_err *err) MTF_NODISCARD;

/** The mean of q_policy + min(cap, rho) (r - q) over logged rows: arXiv:1103.4601. q (N,): a model
 *  of the reward at the logged action; q_policy (N,): its mean over the smoothed policy, or over
 *  draws of it. The model is fitted on other users than the cohort's. Without bias, where support
 *  is 1 and nothing is capped, whatever the model; the better the model, the smaller the error. Its
 *  interval is that of these q: see reward_model.h. */
mtf_status mtf_doubly_robust_make(const mtf_cohort *cohort, const mtf_smoothing *smoothing,
                                  double cap, const float *q, const float *q_policy, int64_t draws,
                                  uint64_t seed, mtf_one_step *out, mtf_err *err) MTF_NODISCARD;

#endif
