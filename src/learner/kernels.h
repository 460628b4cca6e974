/** The learner's arithmetic: plain functions of pointers and sizes, outputs first. Matrices are
 *  row-major; ldx is the distance of two rows of x in floats. Each kernel adds up in an order that
 *  depends on the sizes alone, so results do not change with threads. Sizes may be 0. */
#ifndef MTF_LEARNER_KERNELS_H
#define MTF_LEARNER_KERNELS_H

#include "core/status.h"

/** Keeps OpenBLAS (the whole process) to the calling thread: our own threads share the work, and
 *  its would fight them for the same cores. */
void mtf_matmul_one_thread(void);
/** y (m,n) = x (m,k) w^T, w (n,k). */
void mtf_matmul_nt(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k);
/** y (m,n) = x (m,k) w, w (k,n). */
void mtf_matmul_nn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k);
/** y (m,n) = x^T w, x (k,m), w (k,n). */
void mtf_matmul_tn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k);

/** y (rows,cols) = max(0, y + bias). A NaN stays a NaN, so that it shows in the loss. */
void mtf_bias_relu(float *y, const float *bias, size_t rows, size_t cols);
/** A layer of one output: q (rows,) = y (rows,cols) . w + c. */
void mtf_head(float *q, const float *y, const float *w, float c, size_t rows, size_t cols);
/** Back through the head and the ReLU below it, in place: from dq (rows,) and y (rows,cols), the
 *  ReLU's output, y = dy = dq w 1(y > 0); dw, dbias (cols,) = sums over rows of dq y and of dy.
 *  Returns the sum of dq, the gradient of c. */
float mtf_head_backward(float *y, float *dw, float *dbias, const float *dq, const float *w,
                        size_t rows, size_t cols);
/** y (rows,cols) = w 1(y > 0): the slope of the head for dq = 1. */
void mtf_head_slope(float *y, const float *w, size_t rows, size_t cols);
/** dy (rows,cols) *= 1(y > 0); dbias (cols,) = column sums of the result. */
void mtf_relu_backward(float *dy, float *dbias, const float *y, size_t rows, size_t cols);
/** The same without the sums. */
void mtf_relu_mask(float *dy, const float *y, size_t rows, size_t cols);
/** sums (cols,) = column sums of y (rows,cols). */
void mtf_column_sums(float *sums, const float *y, size_t rows, size_t cols);
/** y (rows,cols) = tanh(y), within 4e-7 of it, relative. A NaN stays a NaN. */
void mtf_tanh(float *y, size_t ldy, size_t rows, size_t cols);
/** y (rows,cols) += bias. */
void mtf_bias_add(float *y, size_t ldy, const float *bias, size_t rows, size_t cols);

/** Sum; sum of squares. */
double mtf_sum(const float *x, size_t count);
double mtf_sum_squares(const float *x, size_t count);
/** y (rows,cols) += factor (rows,) times each row of x (rows,cols), of `count` pairs of a factor
 * and an x, one after another, each `apart` rows from the one before. */
void mtf_add_rows(float *y, const float *factor, const float *x, size_t rows, size_t cols,
                  size_t count, size_t apart);
/** y += x. */
void mtf_add(float *y, const float *x, size_t count);
/** y *= factor. */
void mtf_scale(float *y, float factor, size_t count);
/** y += share (x - y): the targets' soft update. */
void mtf_approach(float *y, const float *x, float share, size_t count);
/** The largest |x|; a NaN when one is. */
float mtf_abs_max(const float *x, size_t count);
bool mtf_all_finite(const float *x, size_t count);

/** Makes this thread flush denormals to zero, where the CPU can; returns what end takes. Zero
 *  gradients would else leave denormal moments, which are tens of times slower. */
unsigned mtf_flush_denormals_begin(void);
void mtf_flush_denormals_end(unsigned before);

#endif
