/** The linear algebra of the searches, in double: LAPACK behind two calls. */
#ifndef MTF_SEARCH_LINEAR_H
#define MTF_SEARCH_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

/** OpenBLAS on one thread, as the learner has it: matrices are small here, and results must not
 *  hang on the number of threads. */
void mtf_linear_one_thread(void);
/** A (n,n) symmetric, its lower triangle read -> its eigenvectors as columns of A, eigenvalues (n,)
 *  ascending. False: it did not converge (not finite). */
bool mtf_symmetric_eigen(double *a, double *values, size_t n);
/** A (n,n) symmetric, its lower triangle read -> L in the lower triangle, A = L L^T, the rest as it
 *  was. False: not positive definite. */
bool mtf_cholesky(double *a, size_t n);
/** x (n,) <- A^-1 x, by the L of A. */
void mtf_cholesky_solve(const double *l, double *x, size_t n);
/** x (n,) <- L^-1 x. */
void mtf_cholesky_half_solve(const double *l, double *x, size_t n);
/** L -> the lower triangle of A^-1. False: singular. */
bool mtf_cholesky_invert(double *l, size_t n);

#endif
