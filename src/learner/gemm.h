/** Matrix products in one of two precisions, chosen by learner.precision. Operands and results are
 *  float32 in memory either way, and sums are taken in float32. */
#ifndef MTF_LEARNER_GEMM_H
#define MTF_LEARNER_GEMM_H

#include "core/status.h"

/** y out; sizes and order of the sums as in kernels.h. */
typedef void (*mtf_matmul)(float *y, size_t ldy, const float *x, size_t ldx, const float *w,
                           size_t ldw, size_t m, size_t n, size_t k);

/** Memory that is wanted soon. A product that is given it fetches it into the second cache bit by
 *  bit while it multiplies, and moves `at` on; or leaves it alone. */
typedef struct mtf_ahead {
    const float *at, *end;
} mtf_ahead;

typedef enum mtf_top_leaves {
    MTF_TOP_UNITS, /* y itself */
    MTF_TOP_SLOPE, /* the slope of q along y's sums: w where y > 0, else 0 */
    MTF_TOP_NOTHING,
} mtf_top_leaves;

/** A head of one output on a layer: q (m,) = y . w + c, and what is left of y (m,n). */
typedef struct mtf_top {
    float *q;
    const float *w; /* (n,) */
    float c;
    mtf_top_leaves leaves;
} mtf_top;

typedef struct mtf_gemm {
    mtf_matmul nt; /* y (m,n) = x (m,k) w^T, w (n,k) */
    mtf_matmul nn; /* y (m,n) = x (m,k) w, w (k,n) */
    mtf_matmul tn; /* y (m,n) = x^T w, x (k,m), w (k,n) */
    /* mtf_gemm_layer, mtf_gemm_top and mtf_gemm_back in one go; or NULL */
    void (*layer)(float *y, const float *x, size_t ldx, const float *w, size_t ldw,
                  const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead);
    void (*top)(const mtf_top *top, float *y, const float *x, size_t ldx, const float *w,
                size_t ldw, const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead);
    void (*back)(float *dx, float *sums, const float *dy, const float *w, const float *x, size_t m,
                 size_t n, size_t k, mtf_ahead *ahead);
} mtf_gemm;

/** A layer with ReLU: y (m,n), dense, = max(0, x (m,k) w^T + bias), w (n,k). A NaN stays a NaN.
 *  ahead may be NULL. */
void mtf_gemm_layer(const mtf_gemm *gemm, float *y, const float *x, size_t ldx, const float *w,
                    size_t ldw, const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead);
/** The same with a head on it. y is needed in any case, as scratch. */
void mtf_gemm_top(const mtf_gemm *gemm, const mtf_top *top, float *y, const float *x, size_t ldx,
                  const float *w, size_t ldw, const float *bias, size_t m, size_t n, size_t k,
                  mtf_ahead *ahead);
/** Back through a layer's weights, and the ReLU that its inputs x (m,n) came out of:
 *  dx (m,n) = dy (m,k) w 1(x > 0), w (k,n); sums (n,) = column sums of dx, unless NULL. All dense.
 */
void mtf_gemm_back(const mtf_gemm *gemm, float *dx, float *sums, const float *dy, const float *w,
                   const float *x, size_t m, size_t n, size_t k, mtf_ahead *ahead);

/** OpenBLAS's: mtf_matmul_nt, nn and tn. */
extern const mtf_gemm mtf_gemm_openblas;

/** Ours for CPUs with AVX-512, made for small products. Each element is one chain of fused
 *  multiply-adds in the order of k, a layer's from its bias on, whatever the other sizes. NULL
 * where the CPU (avx512f) or this build cannot. */
const mtf_gemm *mtf_gemm_avx512(void);

/** In float32: ours, or OpenBLAS's where the CPU cannot. */
const mtf_gemm *mtf_gemm_float32(void);

/** Rounds both operands to bfloat16, to the nearest and ties to even; denormals count as zero. A
 *  product is thus within 2^-7 of sum |x| |w|. NULL where the CPU (avx512_bf16) or this build
 *  cannot. */
const mtf_gemm *mtf_gemm_bf16(void);

/** By the setting's word; bf16: what mtf_gemm_bf16 returned. MTF_INVALID: another word, or this
 *  machine lacks it. */
mtf_status mtf_gemm_choose(const char *precision, const mtf_gemm *bf16, const mtf_gemm **gemm,
                           mtf_err *err) MTF_NODISCARD;

#endif
