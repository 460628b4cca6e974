/* Row-major throughout: our lower triangle is Fortran's upper one, so no call copies a matrix. */
#include "search/linear.h"

#include <cblas.h>
#include <lapacke.h>

void mtf_linear_one_thread(void)
{
    openblas_set_num_threads(1);
}

bool mtf_symmetric_eigen(double *a, double *values, size_t n)
{
    return LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'L', (lapack_int)n, a, (lapack_int)n, values) == 0;
}

bool mtf_cholesky(double *a, size_t n)
{
    return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, a, (lapack_int)n) == 0;
}

void mtf_cholesky_solve(const double *l, double *x, size_t n)
{
    LAPACKE_dpotrs_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, 1, l, (lapack_int)n, x,
                        (lapack_int)n);
}

void mtf_cholesky_half_solve(const double *l, double *x, size_t n)
{
    LAPACKE_dtrtrs_work(LAPACK_COL_MAJOR, 'U', 'T', 'N', (lapack_int)n, 1, l, (lapack_int)n, x,
                        (lapack_int)n);
}

bool mtf_cholesky_invert(double *l, size_t n)
{
    return LAPACKE_dpotri_work(LAPACK_COL_MAJOR, 'U', (lapack_int)n, l, (lapack_int)n) == 0;
}
