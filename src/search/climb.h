/** Climbs to a local maximum of a smooth function in a box: BFGS with projected steps. */
#ifndef MTF_SEARCH_CLIMB_H
#define MTF_SEARCH_CLIMB_H

#include <stdint.h>

#define MTF_CLIMB_DIMS_MAX 40

/** The value at x (n,) and its gradient (n,) out. NaN or -infinity: not a place to be. */
typedef double mtf_climb_fn(void *arg, const double *x, double *gradient);

/** x (n,) in the box, improved in place by at most `steps` steps. Returns its value. Deterministic;
 *  stops early where a step gains less than 1e-10 of the value. */
double mtf_climb(uint32_t n, const double *lower, const double *upper, double *x, mtf_climb_fn *fn,
                 void *arg, uint32_t steps);

#endif
