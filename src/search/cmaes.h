/** CMA-ES with weighted recombination, cumulation, rank-one and rank-mu update with negative
 *  weights: figure 6 and table 1 of Hansen, "The CMA Evolution Strategy: A Tutorial"
 *  (arXiv:1604.00772v2); the formula numbers in cmaes.c are that paper's. Private to this folder
 * and its tests. */
#ifndef MTF_SEARCH_CMAES_H
#define MTF_SEARCH_CMAES_H

#include "core/rng.h"

typedef struct mtf_cmaes {
    uint32_t n, lambda, mu;            /* dimensions; points a generation; of them parents */
    double *weight;                    /* (lambda,) falling; the first mu sum to 1 */
    double mu_eff, cc, cs, c1, cm, ds; /* cm: c_mu; ds: d_sigma */
    double expected;                   /* E ||N(0,I)|| */

    uint64_t generation;
    double sigma;
    double *mean;       /* (n,) */
    double *path;       /* (n,) p_c */
    double *sigma_path; /* (n,) p_sigma */
    double *c;          /* (n,n) C, symmetric */
    double *b;          /* (n,n) C = B D^2 B^T, eigenvectors as columns */
    double *d;          /* (n,) D */
    double *work;       /* (lambda + 3, n) */
    uint32_t *order;    /* (lambda,) */
} mtf_cmaes;

/** From mean (n,) with C = I and the default population 4 + floor(3 ln n). MTF_NOMEM. */
mtf_status mtf_cmaes_init(mtf_cmaes *es, uint32_t n, const double *mean, double sigma,
                          mtf_err *err) MTF_NODISCARD;
void mtf_cmaes_fini(mtf_cmaes *es);
/** points (lambda, n) out: this generation's, a function of the seed and the generation. */
void mtf_cmaes_sample(const mtf_cmaes *es, uint64_t seed, double *points);
/** The next generation from points (lambda, n) and their values (lambda,), the higher the better;
 *  of equal values the earlier counts as better. MTF_INVALID: C is no longer finite. */
mtf_status mtf_cmaes_update(mtf_cmaes *es, const double *points, const double *values,
                            mtf_err *err) MTF_NODISCARD;

#endif
