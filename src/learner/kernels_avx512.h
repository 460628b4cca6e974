/** Two of kernels.h's passes over a batch, for CPUs with AVX-512, as a compiler's vectors do them
 *  poorly, and for the others (plain), with the same bits. For kernels.c and its tests. */
#ifndef MTF_LEARNER_KERNELS_AVX512_H
#define MTF_LEARNER_KERNELS_AVX512_H

#include "core/status.h"

/** Whether this CPU (avx512f) and this build can; elsewhere they are the plain ones. */
bool mtf_avx512_able(void);

float mtf_avx512_head_backward(float *y, float *dw, float *dbias, const float *dq, const float *w,
                               size_t rows, size_t cols);
float mtf_plain_head_backward(float *y, float *dw, float *dbias, const float *dq, const float *w,
                              size_t rows, size_t cols);
void mtf_avx512_add_rows(float *y, const float *factor, const float *x, size_t rows, size_t cols,
                         size_t count, size_t apart);
void mtf_plain_add_rows(float *y, const float *factor, const float *x, size_t rows, size_t cols,
                        size_t count, size_t apart);

#endif
