/** A linear classifier by ridge regression on one-hot targets, for tests of what a state gives
 * away. */
#ifndef MTF_SIM_PROBE_H
#define MTF_SIM_PROBE_H

#include "support/mtf_test.h"

/** Solves (A + ridge I) X = B in place by Cholesky: A (n,n) symmetric, B (n,m) -> X. */
static inline void probe_solve(double *a, double *b, size_t n, size_t m, double ridge)
{
    for (size_t i = 0; i < n; i++) a[i * n + i] += ridge;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++) sum -= a[i * n + k] * a[j * n + k];
            if (i == j) assert_true(sum > 0);
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    }
    for (size_t c = 0; c < m; c++) {
        for (size_t i = 0; i < n; i++) {
            for (size_t k = 0; k < i; k++) b[i * m + c] -= a[i * n + k] * b[k * m + c];
            b[i * m + c] /= a[i * n + i];
        }
        for (size_t i = n; i-- > 0;) {
            for (size_t k = i + 1; k < n; k++) b[i * m + c] -= a[k * n + i] * b[k * m + c];
            b[i * m + c] /= a[i * n + i];
        }
    }
}

/** Share of the second half of the rows whose class the first half's fit names. x (rows,n). */
static inline double probe_accuracy(const float *x, const uint32_t *classes, size_t rows, size_t n,
                                    size_t class_count)
{
    double *gram = calloc(n * n, sizeof *gram), *fit = calloc(n * class_count, sizeof *fit);
    assert_true(gram != NULL && fit != NULL);
    for (size_t r = 0; r < rows / 2; r++) {
        const float *row = x + r * n;
        for (size_t i = 0; i < n; i++) {
            for (size_t j = 0; j <= i; j++) gram[i * n + j] += (double)row[i] * row[j];
            fit[i * class_count + classes[r]] += row[i];
        }
    }
    probe_solve(gram, fit, n, class_count, 1);
    size_t right = 0;
    for (size_t r = rows / 2; r < rows; r++) {
        size_t best = 0;
        double best_score = -INFINITY;
        for (size_t c = 0; c < class_count; c++) {
            double score = 0;
            for (size_t i = 0; i < n; i++) score += x[r * n + i] * fit[i * class_count + c];
            if (score > best_score) best_score = score, best = c;
        }
        right += best == classes[r];
    }
    free(gram);
    free(fit);
    return (double)right / (double)(rows - rows / 2);
}

#endif
