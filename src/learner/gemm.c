#include "learner/gemm.h"

#include "learner/kernels.h"

#include <string.h>

const mtf_gemm mtf_gemm_openblas = {.nt = mtf_matmul_nt, .nn = mtf_matmul_nn, .tn = mtf_matmul_tn};

const mtf_gemm *mtf_gemm_float32(void)
{
    const mtf_gemm *own = mtf_gemm_avx512();
    return own ? own : &mtf_gemm_openblas;
}

void mtf_gemm_layer(const mtf_gemm *gemm, float *y, const float *x, size_t ldx, const float *w,
                    size_t ldw, const float *bias, size_t m, size_t n, size_t k, mtf_ahead *ahead)
{
    if (gemm->layer != NULL) {
        gemm->layer(y, x, ldx, w, ldw, bias, m, n, k, ahead);
        return;
    }
    gemm->nt(y, n, x, ldx, w, ldw, m, n, k);
    mtf_bias_relu(y, bias, m, n);
}

void mtf_gemm_top(const mtf_gemm *gemm, const mtf_top *top, float *y, const float *x, size_t ldx,
                  const float *w, size_t ldw, const float *bias, size_t m, size_t n, size_t k,
                  mtf_ahead *ahead)
{
    if (gemm->top != NULL) {
        gemm->top(top, y, x, ldx, w, ldw, bias, m, n, k, ahead);
        return;
    }
    mtf_gemm_layer(gemm, y, x, ldx, w, ldw, bias, m, n, k, ahead);
    mtf_head(top->q, y, top->w, top->c, m, n);
    if (top->leaves == MTF_TOP_SLOPE) mtf_head_slope(y, top->w, m, n);
}

void mtf_gemm_back(const mtf_gemm *gemm, float *dx, float *sums, const float *dy, const float *w,
                   const float *x, size_t m, size_t n, size_t k, mtf_ahead *ahead)
{
    if (gemm->back != NULL) {
        gemm->back(dx, sums, dy, w, x, m, n, k, ahead);
        return;
    }
    gemm->nn(dx, n, dy, k, w, n, m, n, k);
    if (sums != NULL)
        mtf_relu_backward(dx, sums, x, m, n);
    else
        mtf_relu_mask(dx, x, m, n);
}

mtf_status mtf_gemm_choose(const char *precision, const mtf_gemm *bf16, const mtf_gemm **gemm,
                           mtf_err *err)
{
    *gemm = mtf_gemm_float32();
    if (strcmp(precision, "float32") == 0) return MTF_OK;
    if (strcmp(precision, "bf16") != 0)
        return mtf_fail(err, MTF_INVALID, "learner.precision: \"%s\" is not float32 or bf16",
                        precision);
    if (bf16 == NULL)
        return mtf_fail(err, MTF_INVALID,
                        "learner.precision is bf16, but this CPU has no bfloat16 instructions "
                        "(avx512_bf16): set it to float32");
    *gemm = bf16;
    return MTF_OK;
}
