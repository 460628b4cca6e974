/* Columns outside, rows inside: what is summed over rows, and what they share, stays in registers.
 */
#include "learner/kernels_avx512.h"

#if defined(__x86_64__)

#include "learner/lanes.h"

#define AVX512 __attribute__((target("avx512f")))

enum { LANES = MTF_LANES, VECTORS = 4 };

bool mtf_avx512_able(void)
{
    return __builtin_cpu_supports("avx512f");
}

/* `vectors` of 16 columns, the last cut. Products and sums are rounded one by one, as the compiler
 * has them everywhere. */
MTF_LANES_INLINE void head_backward(float *y, float *dw, float *dbias, const float *dq,
                                    const float *w, size_t rows, size_t cols, const int vectors,
                                    __mmask16 edge)
{
    __m512 slopes[VECTORS], through_sum[VECTORS], unit_sum[VECTORS];
    __mmask16 inside[VECTORS];
    for (int v = 0; v < vectors; v++) {
        inside[v] = v + 1 < vectors ? (__mmask16)0xffff : edge;
        slopes[v] = _mm512_maskz_loadu_ps(inside[v], w + v * LANES);
        through_sum[v] = unit_sum[v] = _mm512_setzero_ps();
    }
    for (size_t b = 0; b < rows; b++, y += cols) {
        const __m512 slope = _mm512_set1_ps(dq[b]);
        for (int v = 0; v < vectors; v++) {
            const __m512 unit = _mm512_maskz_loadu_ps(inside[v], y + v * LANES);
            const __mmask16 open = _mm512_cmp_ps_mask(unit, _mm512_setzero_ps(), _CMP_GT_OQ);
            const __m512 through = _mm512_maskz_mul_ps(open, slope, slopes[v]);
            _mm512_mask_storeu_ps(y + v * LANES, inside[v], through);
            through_sum[v] = _mm512_add_ps(through_sum[v], through);
            unit_sum[v] = _mm512_add_ps(unit_sum[v], _mm512_mul_ps(slope, unit));
        }
    }
    for (int v = 0; v < vectors; v++) {
        _mm512_mask_storeu_ps(dbias + v * LANES, inside[v], through_sum[v]);
        _mm512_mask_storeu_ps(dw + v * LANES, inside[v], unit_sum[v]);
    }
}

AVX512 float mtf_avx512_head_backward(float *y, float *dw, float *dbias, const float *dq,
                                      const float *w, size_t rows, size_t cols)
{
    size_t j = 0;
    for (; j + VECTORS * LANES <= cols; j += VECTORS * LANES)
        head_backward(y + j, dw + j, dbias + j, dq, w + j, rows, cols, VECTORS, 0xffff);
    for (; j < cols; j += LANES)
        head_backward(y + j, dw + j, dbias + j, dq, w + j, rows, cols, 1,
                      mtf_lanes_first(cols - j));
    float sum = 0.0f;
    for (size_t b = 0; b < rows; b++) sum += dq[b];
    return sum;
}

AVX512 void mtf_avx512_add_rows(float *y, const float *factor, const float *x, size_t rows,
                                size_t cols, size_t count, size_t apart)
{
    for (size_t b = 0; b < rows; b++, y += cols, x += cols) {
        for (size_t j = 0; j < cols; j += LANES) {
            const __mmask16 inside = mtf_lanes_first(cols - j);
            __m512 sum = _mm512_maskz_loadu_ps(inside, y + j);
            for (size_t i = 0; i < count; i++) {
                const __m512 row = _mm512_maskz_loadu_ps(inside, x + i * apart * cols + j);
                const __m512 by = _mm512_set1_ps(factor[i * apart + b]);
                sum = _mm512_add_ps(sum, _mm512_mul_ps(by, row));
            }
            _mm512_mask_storeu_ps(y + j, inside, sum);
        }
    }
}

#else

bool mtf_avx512_able(void)
{
    return false;
}

float mtf_avx512_head_backward(float *y, float *dw, float *dbias, const float *dq, const float *w,
                               size_t rows, size_t cols)
{
    return mtf_plain_head_backward(y, dw, dbias, dq, w, rows, cols);
}

void mtf_avx512_add_rows(float *y, const float *factor, const float *x, size_t rows, size_t cols,
                         size_t count, size_t apart)
{
    mtf_plain_add_rows(y, factor, x, rows, cols, count, apart);
}

#endif
