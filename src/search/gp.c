#include "search/gp.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "search/linear.h"

#define LOG_2PI     1.8378770664093453
#define SQRT5       2.2360679774997896
#define SQRT_HALF   0.70710678118654752
#define SQRT_2PI_AT 0.39894228040143268 /* 1 / sqrt(2 pi) */

void mtf_gp_fini(mtf_gp *gp)
{
    free(gp->theta); /* the whole block */
    *gp = (mtf_gp){0};
}

static mtf_status reserve(mtf_gp *gp, uint32_t dims, uint32_t count, mtf_err *err)
{
    if (gp->theta && dims == gp->dims && count <= gp->capacity) return MTF_OK;
    const size_t capacity = count < 32 ? 32 : count + count / 2;
    double *block = malloc((2 * MTF_GP_PARAMETERS((size_t)dims) + capacity * (2 * capacity + 3)) *
                           sizeof *block);
    if (!block)
        return mtf_fail(err, MTF_NOMEM, "search: no memory for a Gaussian process of %u points",
                        count);
    mtf_gp_fini(gp);
    gp->theta = block;
    gp->rate = gp->theta + MTF_GP_PARAMETERS(dims);
    gp->l = gp->rate + MTF_GP_PARAMETERS(dims);
    gp->inverse = gp->l + capacity * capacity;
    gp->alpha = gp->inverse + capacity * capacity;
    gp->work = gp->alpha + capacity;
    gp->capacity = (uint32_t)capacity;
    return MTF_OK;
}

/** r of (4.17): the distance in units of the lengths. */
static double distance(const mtf_gp *gp, const double *a, const double *b)
{
    double sum = 0;
    for (uint32_t d = 0; d < gp->dims; d++) {
        const double u = (a[d] - b[d]) * gp->rate[d];
        sum += u * u;
    }
    return sqrt(sum);
}

/** (4.17) with nu = 5/2, for a unit deviation. */
static double matern(double r)
{
    return (1 + SQRT5 * r + 5.0 / 3 * r * r) * exp(-SQRT5 * r);
}

/** -k'(r) / r, which is finite at 0. */
static double matern_slope(double r)
{
    return 5.0 / 3 * (1 + SQRT5 * r) * exp(-SQRT5 * r);
}

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

mtf_status mtf_gp_set(mtf_gp *gp, uint32_t dims, uint32_t count, const double *x, const double *y,
                      const double *v, const double *theta, mtf_err *err)
{
    const mtf_status status = reserve(gp, dims, count, err);
    if (status) return status;
    const size_t n = gp->count = count;
    gp->dims = dims, gp->x = x, gp->y = y, gp->v = v;
    memmove(gp->theta, theta, MTF_GP_PARAMETERS(dims) * sizeof *theta);
    for (size_t d = 0; d < dims; d++) gp->rate[d] = exp(-theta[d]);
    const double signal = exp(2 * theta[dims]), noise = exp(2 * theta[dims + 1]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            gp->l[i * n + j] = signal * matern(distance(gp, x + i * dims, x + j * dims));
        gp->l[i * n + i] = signal + noise + v[i];
    }
    if (!mtf_cholesky(gp->l, n))
        return mtf_fail(err, MTF_INVALID,
                        "search: the covariance of %u points is not positive definite", count);
    double *ones = gp->work;
    for (size_t i = 0; i < n; i++) ones[i] = 1;
    mtf_cholesky_solve(gp->l, ones, n);
    double weight = 0;
    for (size_t i = 0; i < n; i++) weight += ones[i];
    gp->mean = dot(ones, y, n) / weight;
    for (size_t i = 0; i < n; i++) gp->alpha[i] = y[i] - gp->mean;
    mtf_cholesky_solve(gp->l, gp->alpha, n);
    return MTF_OK;
}

/** 1/2 tr((alpha alpha^T - K^-1) dK/dtheta). The mean is the best one, so that its own change adds
 *  nothing. */
static void likelihood_gradient(mtf_gp *gp, double *gradient)
{
    const size_t n = gp->count, dims = gp->dims;
    const double signal = exp(2 * gp->theta[dims]), noise = exp(2 * gp->theta[dims + 1]);
    memcpy(gp->inverse, gp->l, n * n * sizeof *gp->l);
    memset(gradient, 0, MTF_GP_PARAMETERS(dims) * sizeof *gradient);
    const bool inverted = mtf_cholesky_invert(gp->inverse, n);
    MTF_ASSERT(inverted); /* L's diagonal is positive */
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) { /* (i,j) and (j,i) */
            const double *a = gp->x + i * dims, *b = gp->x + j * dims;
            const double r = distance(gp, a, b);
            const double pull = gp->alpha[i] * gp->alpha[j] - gp->inverse[i * n + j];
            const double slope = pull * signal * matern_slope(r);
            for (size_t d = 0; d < dims; d++) {
                const double u = (a[d] - b[d]) * gp->rate[d];
                gradient[d] += slope * u * u;
            }
            gradient[dims] += 2 * pull * signal * matern(r);
        }
        const double pull = gp->alpha[i] * gp->alpha[i] - gp->inverse[i * n + i];
        gradient[dims] += pull * signal;
        gradient[dims + 1] += pull * noise;
    }
}

double mtf_gp_likelihood(mtf_gp *gp, double *gradient)
{
    const size_t n = gp->count;
    double fit = 0, volume = 0;
    for (size_t i = 0; i < n; i++) {
        fit += (gp->y[i] - gp->mean) * gp->alpha[i];
        volume += log(gp->l[i * n + i]);
    }
    if (gradient) likelihood_gradient(gp, gradient);
    return -fit / 2 - volume - (double)n / 2 * LOG_2PI;
}

void mtf_gp_at(mtf_gp *gp, const double *x, double *mean, double *variance, double *mean_gradient,
               double *variance_gradient)
{
    const size_t n = gp->count, dims = gp->dims;
    const double signal = exp(2 * gp->theta[dims]);
    double *k = gp->work, *solved = gp->work + gp->capacity;
    for (size_t i = 0; i < n; i++) k[i] = signal * matern(distance(gp, x, gp->x + i * dims));
    memcpy(solved, k, n * sizeof *k);
    mtf_cholesky_solve(gp->l, solved, n);
    *mean = gp->mean + dot(k, gp->alpha, n);
    *variance = fmax(0, signal - dot(k, solved, n));
    if (!mean_gradient) return;
    memset(mean_gradient, 0, dims * sizeof *mean_gradient);
    memset(variance_gradient, 0, dims * sizeof *variance_gradient);
    for (size_t i = 0; i < n; i++) {
        const double *a = gp->x + i * dims;
        const double slope = -signal * matern_slope(distance(gp, x, a));
        for (size_t d = 0; d < dims; d++) {
            const double dk = slope * (x[d] - a[d]) * gp->rate[d] * gp->rate[d];
            mean_gradient[d] += gp->alpha[i] * dk;
            variance_gradient[d] -= 2 * solved[i] * dk;
        }
    }
}

double mtf_expected_improvement(double mean, double variance, double best)
{
    const double s = sqrt(variance);
    if (s == 0) return fmax(0, mean - best);
    const double z = (mean - best) / s;
    return s * (z * 0.5 * erfc(-z * SQRT_HALF) + SQRT_2PI_AT * exp(-z * z / 2));
}
