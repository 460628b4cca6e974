#include "learner/gemm.h"

#include "learner/kernels.h"

#include <string.h>

const mtf_gemm mtf_gemm_openblas = {mtf_matmul_nt, mtf_matmul_nn, mtf_matmul_tn};

const mtf_gemm *mtf_gemm_float32(void)
{
    const mtf_gemm *own = mtf_gemm_avx512();
    return own ? own : &mtf_gemm_openblas;
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
