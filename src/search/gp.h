/** A Gaussian process: y_i = mean + f(x_i) + e_i, f of a Matern-5/2 kernel with a length for each
 *  dimension, e_i normal with a known variance v_i plus a common unknown one (Rasmussen and
 *  Williams, "Gaussian Processes for Machine Learning", 2006: the numbers in gp.c are that book's).
 *  In double, over LAPACK. Private to this folder and its tests. */
#ifndef MTF_SEARCH_GP_H
#define MTF_SEARCH_GP_H

#include "core/status.h"

/** Parameters, as logarithms: length of each dimension, deviation of f, deviation of the common
 *  noise. */
#define MTF_GP_PARAMETERS(dims) ((dims) + 2)

typedef struct mtf_gp {
    uint32_t dims, count, capacity;
    const double *x;     /* (count, dims) borrowed */
    const double *y, *v; /* (count,) borrowed */
    double *theta;       /* (dims + 2,) */
    double *rate;        /* (dims,) 1 / length */
    double mean;         /* of y: generalised least squares */
    double *l;           /* (count, count) Cholesky's L of K + noise, the lower triangle */
    double *inverse;     /* (count, count) of it, the lower triangle; scratch of the gradient */
    double *alpha;       /* (count,) (K + noise)^-1 (y - mean) */
    double *work;        /* (2, count) */
} mtf_gp;

void mtf_gp_fini(mtf_gp *gp);
/** Conditions on count points x (count, dims), values y and variances v (count,), borrowed until
 *  the next call, with the parameters theta (dims + 2,). Zeroed memory is a valid gp. MTF_NOMEM.
 *  MTF_INVALID: the covariance is not positive definite. */
mtf_status mtf_gp_set(mtf_gp *gp, uint32_t dims, uint32_t count, const double *x, const double *y,
                      const double *v, const double *theta, mtf_err *err) MTF_NODISCARD;
/** The log marginal likelihood of what is set (5.8), with the mean at its best. gradient (dims +
 * 2,) out, by theta (5.9); may be NULL. */
double mtf_gp_likelihood(mtf_gp *gp, double *gradient);
/** Mean and variance of f + mean at x (dims,) (2.25, 2.26); their gradients (dims,) by x out, both
 *  or neither NULL. */
void mtf_gp_at(mtf_gp *gp, const double *x, double *mean, double *variance, double *mean_gradient,
               double *variance_gradient);

/** E max(0, Y - best) of Y ~ N(mean, variance) (Jones, Schonlau and Welch 1998, formula 15). */
double mtf_expected_improvement(double mean, double variance, double best);

#endif
