#include "learner/importance.h"

#include <math.h>
#include <stdlib.h>

#include "core/rng.h"

#define WIDTH_MIN 1e-6 /* a narrower dimension is frozen: no density */

/** A dimension of a row: the box that logged and the smoothed policy's, absolute. */
typedef struct sides {
    double low, high, policy_low, policy_high;
} sides;

/** False: frozen. */
static bool sides_of(const mtf_cohort *cohort, const mtf_smoothing *smoothing, size_t at,
                     sides *out)
{
    const double bp = cohort->bp[at], mu = smoothing->mu[at], h = smoothing->half_width;
    *out = (sides){bp + (double)cohort->lower[at], bp + (double)cohort->upper[at], fmax(mu - h, -1),
                   fmin(mu + h, 1)};
    return out->high - out->low >= WIDTH_MIN;
}

/** Row i's rho, and the share of the smoothed policy's volume that lies in the row's box. */
static double ratio(const mtf_cohort *cohort, const mtf_smoothing *smoothing, size_t i,
                    double *support)
{
    double rho = 1, inside = 1;
    for (size_t d = 0; d < cohort->action_dim; d++) {
        const size_t at = i * cohort->action_dim + d;
        const double a = cohort->a[at];
        sides side;
        if (!sides_of(cohort, smoothing, at, &side)) continue;
        const double width = side.policy_high - side.policy_low;
        const bool within = a >= side.policy_low && a <= side.policy_high;
        rho *= within ? (side.high - side.low) / width : 0;
        const double shared = fmin(side.high, side.policy_high) - fmax(side.low, side.policy_low);
        inside *= fmax(shared, 0) / width;
    }
    *support = inside;
    return rho;
}

void mtf_importance(const mtf_cohort *cohort, const mtf_smoothing *smoothing, double *rho)
{
    double support;
    for (size_t i = 0; i < cohort->rows; i++)
        rho[i] = cohort->logged[i] ? ratio(cohort, smoothing, i, &support) : 0;
}

void mtf_smoothing_draw(const mtf_cohort *cohort, const mtf_smoothing *smoothing, uint64_t seed,
                        uint64_t draw, float *action)
{
    const size_t A = cohort->action_dim;
    for (size_t i = 0; i < cohort->rows; i++) {
        mtf_rng rng = mtf_rng_of(seed ^ draw << 32, i);
        for (size_t d = 0; d < A; d++) {
            const size_t at = i * A + d;
            const double u = mtf_rng_uniform(&rng);
            sides side;
            action[at] = sides_of(cohort, smoothing, at, &side)
                             ? (float)(side.policy_low + u * (side.policy_high - side.policy_low))
                             : cohort->a[at];
        }
    }
}

/* -- the two estimators ------------------------------------------ */

/** What both have: a row's weight (sample weight times capped ratio) goes into the sums. */
typedef struct weighing {
    mtf_sums sums;
    double support, weights, sum, squares;
} weighing;

static double weigh(weighing *all, const mtf_cohort *cohort, const mtf_smoothing *smoothing,
                    double cap, size_t i)
{
    double support;
    const double rho = fmin(ratio(cohort, smoothing, i, &support), cap);
    const double sample = cohort->weight[i], weight = sample * rho;
    all->support += sample * support;
    all->weights += sample;
    all->sum += weight;
    all->squares += weight * weight;
    return rho;
}

static mtf_status finish(weighing *all, mtf_figure value, mtf_figure gain, int64_t draws,
                         uint64_t seed, mtf_one_step *out, mtf_err *err)
{
    out->support = all->support / all->weights;
    out->effective = all->squares > 0 ? all->sum * all->sum / all->squares : 0;
    mtf_status status = mtf_bootstrap(&all->sums, value, draws, seed, &out->value, err);
    if (status == MTF_OK) status = mtf_bootstrap(&all->sums, gain, draws, seed, &out->gain, err);
    mtf_sums_fini(&all->sums);
    return status;
}

/** Of sums of k r, k, r and 1. */
static double ncis_gain(const double sums[MTF_SUMS])
{
    return sums[0] / sums[1] - sums[2] / sums[3];
}

mtf_status mtf_ncis_make(const mtf_cohort *cohort, const mtf_smoothing *smoothing, double cap,
                         int64_t draws, uint64_t seed, mtf_one_step *out, mtf_err *err)
{
    weighing all = {0};
    const mtf_status status = mtf_sums_init(&all.sums, cohort->users, err);
    if (status) return status;
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->logged[i]) continue;
        const double sample = cohort->weight[i], r = cohort->r[i];
        const double weight = sample * weigh(&all, cohort, smoothing, cap, i);
        double *user = mtf_sums_row(&all.sums, cohort->user[i]);
        user[0] += weight * r, user[1] += weight;
        user[2] += sample * r, user[3] += sample;
    }
    return finish(&all, mtf_figure_mean, ncis_gain, draws, seed, out, err);
}

mtf_status mtf_doubly_robust_make(const mtf_cohort *cohort, const mtf_smoothing *smoothing,
                                  double cap, const float *q, const float *q_policy, int64_t draws,
                                  uint64_t seed, mtf_one_step *out, mtf_err *err)
{
    weighing all = {0};
    const mtf_status status = mtf_sums_init(&all.sums, cohort->users, err);
    if (status) return status;
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->logged[i]) continue;
        const double sample = cohort->weight[i], r = cohort->r[i];
        const double surprise = weigh(&all, cohort, smoothing, cap, i) * (r - (double)q[i]);
        double *user = mtf_sums_row(&all.sums, cohort->user[i]);
        user[0] += sample * ((double)q_policy[i] + surprise);
        user[1] += sample;
        user[2] += sample * r;
    }
    return finish(&all, mtf_figure_mean, mtf_figure_difference, draws, seed, out, err);
}
