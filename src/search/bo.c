/* `bo`: a shifted Sobol design of 2 (dims + 1) points, then one point at a time where a Gaussian
 * process expects the largest improvement. Each ask fits the process to the whole history afresh,
 * so that what it asks depends on nothing else. Under noise the value to improve on is the highest
 * posterior mean of a tried point, not the highest value told, which noise has flattered. */
#include "search/bo.h"

#include <math.h>
#include <stdlib.h>

#include "core/rng.h"
#include "search/climb.h"
#include "search/inside.h"
#include "search/sobol.h"

#define FIT_STEPS      40
#define CANDIDATES     1024
#define NEAR           256 /* of them, drawn round the best point */
#define NEAR_SPREAD    0.1
#define CLIMBERS       5
#define CLIMB_STEPS    50
#define START_STREAM   0x736f626f6cu /* of the rng: the shift of the Sobol points */
#define PROPOSE_STREAM 0x70726f70u   /* and on: candidates by points told */

_Static_assert(MTF_GP_PARAMETERS(MTF_SOBOL_DIMS_MAX) <= MTF_CLIMB_DIMS_MAX, "they are climbed");
_Static_assert(MTF_BO_START(MTF_SOBOL_DIMS_MAX) <= MTF_SEARCH_BATCH_MAX, "one batch");

typedef struct bo {
    mtf_gp gp;
    double *y, *v; /* (told,) of mean 0 and variance 1 */
    double best;   /* highest posterior mean of a tried point, in that unit */
    uint32_t best_at;
} bo;

/* -- the model --------------------------------------------------- */

/** Medians and deviations of the logarithms: length, deviation of f, of the common noise. */
static const struct prior {
    double median, spread, low, high;
} priors[] = {{0.5, 1, 0.03, 20}, {1, 1, 0.05, 20}, {0.05, 2, 1e-4, 2}};

static const struct prior *prior_of(uint32_t dims, uint32_t i)
{
    return &priors[i < dims ? 0 : i - dims + 1];
}

double mtf_bo_posterior(mtf_gp *gp, const double *theta, double *gradient)
{
    const uint32_t dims = gp->dims;
    if (mtf_gp_set(gp, dims, gp->count, gp->x, gp->y, gp->v, theta, NULL) != MTF_OK)
        return -(double)INFINITY;
    double value = mtf_gp_likelihood(gp, gradient);
    for (uint32_t i = 0; i < MTF_GP_PARAMETERS(dims); i++) {
        const struct prior *p = prior_of(dims, i);
        const double z = (theta[i] - log(p->median)) / p->spread;
        value -= z * z / 2;
        gradient[i] -= z / p->spread;
    }
    return value;
}

static double climb_posterior(void *arg, const double *theta, double *gradient)
{
    return mtf_bo_posterior(arg, theta, gradient);
}

mtf_status mtf_bo_fit(mtf_gp *gp, uint32_t dims, uint32_t count, const double *x, const double *y,
                      const double *v, mtf_err *err)
{
    double theta[MTF_CLIMB_DIMS_MAX], low[MTF_CLIMB_DIMS_MAX], high[MTF_CLIMB_DIMS_MAX];
    for (uint32_t i = 0; i < MTF_GP_PARAMETERS(dims); i++) {
        const struct prior *p = prior_of(dims, i);
        theta[i] = log(p->median), low[i] = log(p->low), high[i] = log(p->high);
    }
    const mtf_status status = mtf_gp_set(gp, dims, count, x, y, v, theta, err);
    if (status) return status;
    mtf_climb(MTF_GP_PARAMETERS(dims), low, high, theta, climb_posterior, gp, FIT_STEPS);
    return mtf_gp_set(gp, dims, count, x, y, v, theta, err);
}

/** y and v in units of the history's standard deviation. */
static mtf_status standardise(const mtf_search *search, bo *b, mtf_err *err)
{
    const uint32_t n = search->told;
    double mean = 0, squares = 0;
    double *block = realloc(b->y, 2 * n * sizeof *block);
    if (!block) return mtf_fail(err, MTF_NOMEM, "search: no memory for %u points", n);
    b->y = block, b->v = block + n;
    for (uint32_t i = 0; i < n; i++) mean += search->value[i] / n;
    for (uint32_t i = 0; i < n; i++)
        squares += (search->value[i] - mean) * (search->value[i] - mean);
    const double unit = squares > 0 ? sqrt(squares / n) : 1;
    for (uint32_t i = 0; i < n; i++) {
        b->y[i] = (search->value[i] - mean) / unit;
        b->v[i] = search->variance[i] / (unit * unit);
    }
    return MTF_OK;
}

static mtf_status model(const mtf_search *search, bo *b, mtf_err *err)
{
    mtf_status status = standardise(search, b, err);
    if (status == MTF_OK)
        status = mtf_bo_fit(&b->gp, search->dims, search->told, search->u, b->y, b->v, err);
    if (status) return status;
    b->best = -(double)INFINITY;
    for (uint32_t i = 0; i < search->told; i++) {
        double mean, variance;
        mtf_gp_at(&b->gp, search->u + (size_t)i * search->dims, &mean, &variance, NULL, NULL);
        if (mean > b->best) b->best = mean, b->best_at = i;
    }
    return MTF_OK;
}

/* -- what to try ------------------------------------------------- */

static void ask_start(const mtf_search *search, double *points)
{
    const uint32_t n = search->dims;
    mtf_rng rng = mtf_rng_of(search->seed, START_STREAM);
    for (uint32_t d = 0; d < n; d++) {
        const uint32_t shift = (uint32_t)(mtf_rng_next(&rng) >> 32);
        for (uint32_t i = 0; i < MTF_BO_START(n); i++)
            points[i * n + d] = ((mtf_sobol(i, d) ^ shift) + 0.5) * 0x1p-32;
    }
}

/** Expected improvement and its gradient: of (mean - best) Phi(z) + s phi(z), Phi(z) dmean +
 *  phi(z) ds. */
static double climb_improvement(void *arg, const double *x, double *gradient)
{
    bo *b = arg;
    double mean, variance, dm[MTF_CLIMB_DIMS_MAX], dv[MTF_CLIMB_DIMS_MAX];
    mtf_gp_at(&b->gp, x, &mean, &variance, dm, dv);
    const double s = sqrt(variance) + 1e-12, z = (mean - b->best) / s;
    const double below = 0.5 * erfc(-z * sqrt(0.5)), at = exp(-z * z / 2) / sqrt(2 * acos(-1));
    for (uint32_t d = 0; d < b->gp.dims; d++) gradient[d] = below * dm[d] + at * dv[d] / (2 * s);
    return mtf_expected_improvement(mean, variance, b->best);
}

/** Candidate i: anywhere, or near the best tried point. */
static void draw(const mtf_search *search, const bo *b, uint32_t i, mtf_rng *rng, double *x)
{
    for (uint32_t d = 0; d < search->dims; d++) {
        x[d] = i < CANDIDATES - NEAR
                   ? mtf_rng_uniform(rng)
                   : mtf_search_fold(search->u[(size_t)b->best_at * search->dims + d] +
                                     NEAR_SPREAD * mtf_rng_normal(rng));
    }
}

/** The most promising of many candidates climb on; point (dims,) out: the best they reach. */
static void propose(const mtf_search *search, bo *b, double *point)
{
    const uint32_t n = search->dims;
    double top[CLIMBERS][MTF_CLIMB_DIMS_MAX], worth[CLIMBERS], low[MTF_CLIMB_DIMS_MAX],
        high[MTF_CLIMB_DIMS_MAX], best = -1;
    mtf_rng rng = mtf_rng_of(search->seed, PROPOSE_STREAM + search->told);
    for (uint32_t k = 0; k < CLIMBERS; k++) {
        worth[k] = -1;
        memcpy(top[k], search->u, n * sizeof *point); /* where no candidate is worth a number */
    }
    memcpy(point, top[0], n * sizeof *point);
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        double x[MTF_CLIMB_DIMS_MAX], mean, variance;
        draw(search, b, i, &rng, x);
        mtf_gp_at(&b->gp, x, &mean, &variance, NULL, NULL);
        const double value = mtf_expected_improvement(mean, variance, b->best);
        if (!(value > worth[CLIMBERS - 1])) continue;
        uint32_t at = CLIMBERS - 1;
        for (; at > 0 && worth[at - 1] < value; at--) {
            worth[at] = worth[at - 1];
            memcpy(top[at], top[at - 1], n * sizeof *x);
        }
        worth[at] = value;
        memcpy(top[at], x, n * sizeof *x);
    }
    for (uint32_t d = 0; d < n; d++) low[d] = 0, high[d] = 1;
    for (uint32_t k = 0; k < CLIMBERS; k++) {
        const double value = mtf_climb(n, low, high, top[k], climb_improvement, b, CLIMB_STEPS);
        if (!(value > best)) continue;
        best = value;
        memcpy(point, top[k], n * sizeof *point);
    }
}

/* -- the method -------------------------------------------------- */

static mtf_status open_bo(mtf_search *search, mtf_err *err)
{
    search->self = calloc(1, sizeof(bo));
    return search->self ? MTF_OK : mtf_fail(err, MTF_NOMEM, "search: no memory for bo");
}

static void close_bo(mtf_search *search)
{
    bo *b = search->self;
    if (!b) return;
    mtf_gp_fini(&b->gp);
    free(b->y);
    free(b);
}

static uint32_t batch(const mtf_search *search)
{
    if (search->told == 0) return MTF_BO_START(search->dims);
    return search->told < MTF_BO_POINTS_MAX;
}

static mtf_status ask(mtf_search *search, double *points, mtf_err *err)
{
    if (search->told == 0) {
        ask_start(search, points);
        return MTF_OK;
    }
    const mtf_status status = model(search, search->self, err);
    if (status == MTF_OK) propose(search, search->self, points);
    return status;
}

static mtf_status best(mtf_search *search, double *point, mtf_err *err)
{
    bo *b = search->self;
    const mtf_status status = model(search, b, err);
    if (status == MTF_OK)
        memcpy(point, search->u + (size_t)b->best_at * search->dims, search->dims * sizeof *point);
    return status;
}

const mtf_search_method_ops mtf_search_bo_ops = {.name = "bo",
                                                 .dims_max = MTF_SOBOL_DIMS_MAX,
                                                 .open = open_bo,
                                                 .close = close_bo,
                                                 .batch = batch,
                                                 .ask = ask,
                                                 .best = best};
