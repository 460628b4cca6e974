#include "learner/kernels.h"

#include "learner/clones.h"
#include "learner/kernels_avx512.h"

#include <cblas.h>
#include <math.h>
#include <string.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* Sums run in this many lanes, whatever the CPU's vector width, and the lanes are added in a fixed
 * order. */
#define LANES 16

void mtf_matmul_one_thread(void)
{
    openblas_set_num_threads(1);
}

void mtf_matmul_nt(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x, (blasint)ldx, w, (blasint)ldw, 0.0f, y, (blasint)ldy);
}

void mtf_matmul_nn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x, (blasint)ldx, w, (blasint)ldw, 0.0f, y, (blasint)ldy);
}

void mtf_matmul_tn(float *y, size_t ldy, const float *x, size_t ldx, const float *w, size_t ldw,
                   size_t m, size_t n, size_t k)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                x, (blasint)ldx, w, (blasint)ldw, 0.0f, y, (blasint)ldy);
}

MTF_CLONES void mtf_bias_relu(float *restrict y, const float *restrict bias, size_t rows,
                              size_t cols)
{
    for (size_t b = 0; b < rows; b++) {
        float *row = y + b * cols;
        for (size_t j = 0; j < cols; j++) {
            const float sum = row[j] + bias[j];
            row[j] = sum < 0.0f ? 0.0f : sum;
        }
    }
}

/* Four by four: as single floats it takes longer than the products of a row. */
static inline float add_lanes(const float lanes[LANES])
{
    typedef float four __attribute__((vector_size(4 * sizeof(float))));
    four part[LANES / 4];
    memcpy(part, lanes, sizeof part);
    const four sum = (part[0] + part[2]) + (part[1] + part[3]);
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

MTF_CLONES void mtf_head(float *restrict q, const float *restrict y, const float *restrict w,
                         float c, size_t rows, size_t cols)
{
    const size_t whole = cols - cols % LANES;
    for (size_t b = 0; b < rows; b++) {
        const float *unit = y + b * cols;
        float lanes[LANES] = {0};
        for (size_t j = 0; j < whole; j += LANES) {
            for (size_t l = 0; l < LANES; l++) lanes[l] += unit[j + l] * w[j + l];
        }
        for (size_t j = whole; j < cols; j++) lanes[j - whole] += unit[j] * w[j];
        q[b] = c + add_lanes(lanes);
    }
}

MTF_CLONES float mtf_plain_head_backward(float *restrict y, float *restrict dw,
                                         float *restrict dbias, const float *restrict dq,
                                         const float *restrict w, size_t rows, size_t cols)
{
    float dc = 0.0f;
    memset(dw, 0, cols * sizeof *dw);
    memset(dbias, 0, cols * sizeof *dbias);
    for (size_t b = 0; b < rows; b++) {
        float *row = y + b * cols;
        const float slope = dq[b];
        for (size_t j = 0; j < cols; j++) {
            const float unit = row[j], through = unit > 0.0f ? slope * w[j] : 0.0f;
            row[j] = through;
            dbias[j] += through;
            dw[j] += slope * unit;
        }
        dc += slope;
    }
    return dc;
}

float mtf_head_backward(float *y, float *dw, float *dbias, const float *dq, const float *w,
                        size_t rows, size_t cols)
{
    return (mtf_avx512_able() ? mtf_avx512_head_backward
                              : mtf_plain_head_backward)(y, dw, dbias, dq, w, rows, cols);
}

MTF_CLONES void mtf_head_slope(float *restrict y, const float *restrict w, size_t rows, size_t cols)
{
    for (size_t b = 0; b < rows; b++) {
        float *row = y + b * cols;
        for (size_t j = 0; j < cols; j++) row[j] = row[j] > 0.0f ? w[j] : 0.0f;
    }
}

MTF_CLONES void mtf_relu_backward(float *restrict dy, float *restrict dbias,
                                  const float *restrict y, size_t rows, size_t cols)
{
    memset(dbias, 0, cols * sizeof *dbias);
    for (size_t b = 0; b < rows; b++) {
        const float *unit = y + b * cols;
        float *row = dy + b * cols;
        for (size_t j = 0; j < cols; j++) {
            row[j] = unit[j] > 0.0f ? row[j] : 0.0f;
            dbias[j] += row[j];
        }
    }
}

MTF_CLONES void mtf_relu_mask(float *restrict dy, const float *restrict y, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows * cols; i++) dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

MTF_CLONES void mtf_column_sums(float *restrict sums, const float *restrict y, size_t rows,
                                size_t cols)
{
    memset(sums, 0, cols * sizeof *sums);
    for (size_t b = 0; b < rows; b++) {
        for (size_t j = 0; j < cols; j++) sums[j] += y[b * cols + j];
    }
}

/* e^x - 1 for x of -64 to 64, or NaN: 2^k (e^r - 1) + (2^k - 1), r = x - k log 2, |r| <= log 2 / 2;
 * right near 0, where k is. */
static inline float expm1_of(float x)
{
    const float shift = 0x1.8p23f, shifted = x * 1.44269504f + shift, k = shifted - shift;
    const float r = (x - k * 0x1.62e4p-1f) - k * 0x1.7f7d1cp-20f; /* log 2 in two parts */
    const float e =
        r * (1.0f +
             r * (1.0f / 2 +
                  r * (1.0f / 6 +
                       r * (1.0f / 24 + r * (1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040)))))));
    uint32_t bits; /* k lies in the last ones of shifted */
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return power * e + (power - 1.0f);
}

/* tanh |x| = -e / (2 + e), e = exp(-2 |x|) - 1; 1 from 10 on. */
MTF_CLONES static void tanh_all(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(x[i]), e = expm1_of(-2.0f * (size > 10.0f ? 10.0f : size));
        x[i] = copysignf(e / (2.0f + e), x[i]);
    }
}

/* Short rows side by side, to fill vectors. */
void mtf_tanh(float *y, size_t ldy, size_t rows, size_t cols)
{
    float piece[16 * LANES];
    const size_t room = sizeof piece / sizeof piece[0];
    if (cols > room / 2) {
        for (size_t b = 0; b < rows; b++) tanh_all(y + b * ldy, cols);
        return;
    }
    for (size_t some; rows > 0 && cols > 0; rows -= some, y += some * ldy) {
        some = rows < room / cols ? rows : room / cols;
        for (size_t b = 0; b < some; b++) memcpy(piece + b * cols, y + b * ldy, cols * sizeof *y);
        tanh_all(piece, some * cols);
        for (size_t b = 0; b < some; b++) memcpy(y + b * ldy, piece + b * cols, cols * sizeof *y);
    }
}

void mtf_bias_add(float *y, size_t ldy, const float *bias, size_t rows, size_t cols)
{
    for (size_t b = 0; b < rows; b++) {
        for (size_t j = 0; j < cols; j++) y[b * ldy + j] += bias[j];
    }
}

MTF_CLONES double mtf_sum(const float *x, size_t count)
{
    const size_t whole = count - count % LANES;
    double lanes[LANES] = {0}, total = 0.0;
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) lanes[l] += (double)x[i + l];
    }
    for (size_t i = whole; i < count; i++) lanes[i - whole] += (double)x[i];
    for (size_t l = 0; l < LANES; l++) total += lanes[l];
    return total;
}

MTF_CLONES double mtf_sum_squares(const float *x, size_t count)
{
    const size_t whole = count - count % LANES;
    float lanes[LANES] = {0};
    for (size_t i = 0; i < whole; i += LANES) {
        for (size_t l = 0; l < LANES; l++) lanes[l] += x[i + l] * x[i + l];
    }
    for (size_t i = whole; i < count; i++) lanes[i - whole] += x[i] * x[i];
    double total = 0.0;
    for (size_t l = 0; l < LANES; l++) total += (double)lanes[l];
    return total;
}

MTF_CLONES void mtf_plain_add_rows(float *restrict y, const float *restrict factor,
                                   const float *restrict x, size_t rows, size_t cols, size_t count,
                                   size_t apart)
{
    for (size_t i = 0; i < count; i++, factor += apart, x += apart * cols) {
        for (size_t b = 0; b < rows; b++) {
            for (size_t j = 0; j < cols; j++) y[b * cols + j] += factor[b] * x[b * cols + j];
        }
    }
}

void mtf_add_rows(float *y, const float *factor, const float *x, size_t rows, size_t cols,
                  size_t count, size_t apart)
{
    (mtf_avx512_able() ? mtf_avx512_add_rows : mtf_plain_add_rows)(y, factor, x, rows, cols, count,
                                                                   apart);
}

MTF_CLONES void mtf_add(float *restrict y, const float *restrict x, size_t count)
{
    for (size_t i = 0; i < count; i++) y[i] += x[i];
}

MTF_CLONES void mtf_scale(float *y, float factor, size_t count)
{
    for (size_t i = 0; i < count; i++) y[i] *= factor;
}

MTF_CLONES void mtf_approach(float *restrict y, const float *restrict x, float share, size_t count)
{
    for (size_t i = 0; i < count; i++) y[i] += share * (x[i] - y[i]);
}

MTF_CLONES float mtf_abs_max(const float *x, size_t count)
{
    int32_t largest = 0; /* without their sign, floats' bits rank as they do; NaNs are above all */
    for (size_t i = 0; i < count; i++) {
        int32_t pattern;
        memcpy(&pattern, x + i, sizeof pattern);
        pattern &= INT32_MAX;
        largest = pattern > largest ? pattern : largest;
    }
    float size;
    memcpy(&size, &largest, sizeof size);
    return size;
}

bool mtf_all_finite(const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(x[i])) return false;
    }
    return true;
}

#if defined(__SSE__)
unsigned mtf_flush_denormals_begin(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040u); /* FTZ: results; DAZ: operands */
    return before;
}

void mtf_flush_denormals_end(unsigned before)
{
    _mm_setcsr(before);
}
#else
unsigned mtf_flush_denormals_begin(void)
{
    return 0;
}

void mtf_flush_denormals_end(unsigned before)
{
    (void)before;
}
#endif
