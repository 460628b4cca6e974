#include "search/cmaes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/linear.h"

#define CONDITION_MAX 1e14 /* of C: beyond it D's smallest number is rounding */

/* -- parameters: table 1 ----------------------------------------- */

/** (sum w)^2 / sum w^2. */
static double effective(const double *weight, uint32_t count)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < count; i++) sum += weight[i], squares += weight[i] * weight[i];
    return sum * sum / squares;
}

static double sum_of(const double *weight, uint32_t count)
{
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) sum += weight[i];
    return sum;
}

/** Formulas 49 to 58. */
static void set_parameters(mtf_cmaes *es)
{
    const double n = es->n;
    for (uint32_t i = 0; i < es->lambda; i++)
        es->weight[i] = log((es->lambda + 1.0) / 2) - log(i + 1.0);
    es->mu = es->lambda / 2;
    const double *losers = es->weight + es->mu;
    const uint32_t loser_count = es->lambda - es->mu;
    const double mu_eff = effective(es->weight, es->mu),
                 mu_eff_neg = effective(losers, loser_count);
    es->mu_eff = mu_eff;
    es->cs = (mu_eff + 2) / (n + mu_eff + 5);
    es->ds = 1 + 2 * fmax(0, sqrt((mu_eff - 1) / (n + 1)) - 1) + es->cs;
    es->cc = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n);
    es->c1 = 2 / ((n + 1.3) * (n + 1.3) + mu_eff);
    es->cm = fmin(1 - es->c1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((n + 2) * (n + 2) + mu_eff));
    /* Negative weights, so limited that C stays positive definite. */
    const double alpha = fmin(fmin(1 + es->c1 / es->cm, 1 + 2 * mu_eff_neg / (mu_eff + 2)),
                              (1 - es->c1 - es->cm) / (n * es->cm));
    const double won = sum_of(es->weight, es->mu), lost = -sum_of(losers, loser_count);
    for (uint32_t i = 0; i < es->lambda; i++)
        es->weight[i] *= es->weight[i] >= 0 ? 1 / won : alpha / lost;
    es->expected = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
}

mtf_status mtf_cmaes_init(mtf_cmaes *es, uint32_t n, const double *mean, double sigma, mtf_err *err)
{
    const uint32_t lambda = 4 + (uint32_t)floor(3 * log(n));
    *es = (mtf_cmaes){.n = n, .lambda = lambda, .sigma = sigma};
    const size_t floats = lambda + 4 * (size_t)n + 2 * (size_t)n * n + (lambda + 3) * (size_t)n;
    double *at = calloc(floats, sizeof *at);
    es->order = calloc(lambda, sizeof *es->order);
    es->weight = at;
    if (!at || !es->order) {
        mtf_cmaes_fini(es);
        return mtf_fail(err, MTF_NOMEM, "search: no memory for %u dimensions", n);
    }
    es->mean = at += lambda;
    es->path = at += n;
    es->sigma_path = at += n;
    es->d = at += n;
    es->c = at += n;
    es->b = at += (size_t)n * n;
    es->work = at + (size_t)n * n;
    memcpy(es->mean, mean, n * sizeof *mean);
    for (size_t i = 0; i < n; i++) es->c[i * n + i] = es->b[i * n + i] = es->d[i] = 1;
    set_parameters(es);
    return MTF_OK;
}

void mtf_cmaes_fini(mtf_cmaes *es)
{
    free(es->weight); /* the whole block */
    free(es->order);
    *es = (mtf_cmaes){0};
}

/* -- a generation ------------------------------------------------ */

/** y (n,) <- B x. */
static void rotate(const mtf_cmaes *es, const double *x, double *y)
{
    for (size_t i = 0, n = es->n; i < n; i++) {
        y[i] = 0;
        for (size_t j = 0; j < n; j++) y[i] += es->b[i * n + j] * x[j];
    }
}

/** Formulas 38 to 40: m + sigma B D z. */
void mtf_cmaes_sample(const mtf_cmaes *es, uint64_t seed, double *points)
{
    const size_t n = es->n;
    mtf_rng rng = mtf_rng_of(seed, es->generation);
    double *z = es->work;
    for (size_t k = 0; k < es->lambda; k++) {
        double *point = points + k * n;
        for (size_t i = 0; i < n; i++) z[i] = es->d[i] * mtf_rng_normal(&rng);
        rotate(es, z, point);
        for (size_t i = 0; i < n; i++) point[i] = es->mean[i] + es->sigma * point[i];
    }
}

/** y (n,) <- C^-1/2 x; spare (n,). */
static void whiten(const mtf_cmaes *es, const double *x, double *y, double *spare)
{
    const size_t n = es->n;
    for (size_t j = 0; j < n; j++) {
        spare[j] = 0;
        for (size_t i = 0; i < n; i++) spare[j] += es->b[i * n + j] * x[i];
        spare[j] /= es->d[j];
    }
    rotate(es, spare, y);
}

static double norm(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/** order: best first; an insertion sort keeps the order of equals. */
static void rank_points(mtf_cmaes *es, const double *values)
{
    for (uint32_t i = 0; i < es->lambda; i++) {
        uint32_t at = i;
        for (; at > 0 && values[es->order[at - 1]] < values[i]; at--)
            es->order[at] = es->order[at - 1];
        es->order[at] = i;
    }
}

/** Formulas 41 to 45: mean, step size and both paths. Returns h_sigma. steps (lambda, n) ranked,
 *  spare (3, n). */
static bool move(mtf_cmaes *es, const double *steps, double *spare)
{
    const size_t n = es->n;
    double *way = spare, *white = spare + n; /* y_w and C^-1/2 y_w */
    memset(way, 0, n * sizeof *way);
    for (size_t k = 0; k < es->mu; k++)
        for (size_t i = 0; i < n; i++) way[i] += es->weight[k] * steps[k * n + i];
    for (size_t i = 0; i < n; i++) es->mean[i] += es->sigma * way[i];

    whiten(es, way, white, spare + 2 * n);
    const double keep = 1 - es->cs, gain = sqrt(es->cs * (2 - es->cs) * es->mu_eff);
    for (size_t i = 0; i < n; i++) es->sigma_path[i] = keep * es->sigma_path[i] + gain * white[i];
    const double length = norm(es->sigma_path, n);
    es->sigma *= exp(es->cs / es->ds * (length / es->expected - 1));

    const double grown = sqrt(1 - pow(keep, 2 * ((double)es->generation + 1)));
    const bool steady = length / grown < (1.4 + 2 / ((double)n + 1)) * es->expected;
    const double pull = steady ? sqrt(es->cc * (2 - es->cc) * es->mu_eff) : 0;
    for (size_t i = 0; i < n; i++) es->path[i] = (1 - es->cc) * es->path[i] + pull * way[i];
    return steady;
}

/** Formulas 46 and 47, with the B and D that the steps were drawn with. */
static void adapt(mtf_cmaes *es, const double *steps, bool steady, double *spare)
{
    const size_t n = es->n;
    const double stall = steady ? 0 : es->cc * (2 - es->cc);
    const double keep = 1 + es->c1 * stall - es->c1 - es->cm * sum_of(es->weight, es->lambda);
    for (size_t i = 0; i < n * n; i++) es->c[i] *= keep;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) es->c[i * n + j] += es->c1 * es->path[i] * es->path[j];
    for (size_t k = 0; k < es->lambda; k++) {
        const double *step = steps + k * n;
        double weight = es->cm * es->weight[k];
        if (weight < 0) {
            whiten(es, step, spare, spare + n);
            const double length = norm(spare, n);
            if (length == 0) continue; /* it stood on the mean: no direction to shrink */
            weight *= (double)n / (length * length);
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) es->c[i * n + j] += weight * step[i] * step[j];
    }
}

/** B and D of C; a C of worse condition than CONDITION_MAX gets a multiple of I. */
static mtf_status decompose(mtf_cmaes *es, mtf_err *err)
{
    const size_t n = es->n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) /* the update is symmetric up to rounding */
            es->c[j * n + i] = es->c[i * n + j];
    memcpy(es->b, es->c, n * n * sizeof *es->b);
    if (!mtf_symmetric_eigen(es->b, es->d, n) || !isfinite(es->sigma) || !(es->d[n - 1] > 0))
        return mtf_fail(err, MTF_INVALID,
                        "search: es has no covariance any more in generation %llu",
                        (unsigned long long)es->generation);
    const double floor = es->d[n - 1] / CONDITION_MAX;
    const double lift = es->d[0] < floor ? floor - es->d[0] : 0;
    for (size_t i = 0; i < n; i++) {
        es->c[i * n + i] += lift;
        es->d[i] = sqrt(es->d[i] + lift);
    }
    return MTF_OK;
}

mtf_status mtf_cmaes_update(mtf_cmaes *es, const double *points, const double *values, mtf_err *err)
{
    const size_t n = es->n;
    double *steps = es->work, *spare = es->work + es->lambda * n;
    rank_points(es, values);
    for (size_t k = 0; k < es->lambda; k++)
        for (size_t i = 0; i < n; i++)
            steps[k * n + i] = (points[es->order[k] * n + i] - es->mean[i]) / es->sigma;
    const bool steady = move(es, steps, spare);
    adapt(es, steps, steady, spare);
    es->generation++;
    return decompose(es, err);
}
