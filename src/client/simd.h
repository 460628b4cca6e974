/** Which vector instructions serving code may use. Kernels are compiled for each from one text
 *  (*_kernel.inc) and chosen at run time, so that one binary serves every machine. */
#ifndef MTF_CLIENT_SIMD_H
#define MTF_CLIENT_SIMD_H

typedef enum mtf_simd {
    MTF_SIMD_PORTABLE, /* what the compiler makes of it: SSE2, NEON */
    MTF_SIMD_AVX2,     /* with FMA */
    MTF_SIMD_AVX512,   /* F, VL, DQ, BW */
} mtf_simd;

/** The widest instruction set that this CPU and this build have. */
mtf_simd mtf_simd_best(void);
const char *mtf_simd_text(mtf_simd simd);

#endif
