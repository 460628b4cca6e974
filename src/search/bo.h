/** What `bo` models: private to this folder and its tests. */
#ifndef MTF_SEARCH_BO_H
#define MTF_SEARCH_BO_H

#include "search/gp.h"

/** The points it begins with. */
#define MTF_BO_START(dims) (2 * ((dims) + 1))
/** Points at which it ends: a fit costs their number's cube. */
#define MTF_BO_POINTS_MAX 500

/** Conditions gp on points x (count, dims) of the unit cube, y (count,) of mean 0 and variance 1
 *  and v in the same unit, all borrowed as in mtf_gp_set, with the parameters of the highest
 *  posterior: marginal likelihood times log-normal priors, which keep a dozen points from saying
 *  that a length is nothing or endless. */
mtf_status mtf_bo_fit(mtf_gp *gp, uint32_t dims, uint32_t count, const double *x, const double *y,
                      const double *v, mtf_err *err) MTF_NODISCARD;
/** The same posterior's logarithm, up to a constant, and its gradient (dims + 2,) at theta.
 * -infinity where the covariance is not positive definite. */
double mtf_bo_posterior(mtf_gp *gp, const double *theta, double *gradient);

#endif
