#include "client/simd.h"

mtf_simd mtf_simd_best(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
        return MTF_SIMD_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return MTF_SIMD_AVX2;
#endif
    return MTF_SIMD_PORTABLE;
}

const char *mtf_simd_text(mtf_simd simd)
{
    static const char *const names[] = {"portable", "avx2", "avx512"};
    return names[simd];
}
