#include "learner/blas_core.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORETYPE "OPENBLAS_CORETYPE"
#define MARKER   "MTF_BLAS_CORE" /* set in the second start, so that there is no third */

/* The kernels without AVX-512. A name this list does not know is left alone: later releases know
 * later CPUs better than we do. */
static const char *const lesser[] = {
    "Prescott",    "Core2",       "Penryn",    "Dunnington", "Nehalem",       "Atom",
    "Sandybridge", "SandyBridge", "Haswell",   "Zen",        "Katmai",        "Coppermine",
    "Northwood",   "Banias",      "Athlon",    "Opteron",    "Opteron(SSE3)", "Barcelona",
    "Nano",        "Bobcat",      "Bulldozer", "Piledriver", "Steamroller",   "Excavator"};

bool mtf_blas_core_is_lesser(const char *core, bool cpu_avx512, const char *chosen, bool again)
{
    if (!cpu_avx512 || again || (chosen != NULL && chosen[0] != '\0')) return false;
    for (size_t i = 0; i < sizeof lesser / sizeof lesser[0]; i++) {
        if (strcmp(core, lesser[i]) == 0) return true;
    }
    return false;
}

static bool cpu_has_avx512(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
}

void mtf_blas_core_restart(char **argv, const char *core)
{
    if (setenv(CORETYPE, "SkylakeX", 1) != 0 || setenv(MARKER, core, 1) != 0) return;
    execv("/proc/self/exe", argv);
    unsetenv(CORETYPE); /* no /proc, say */
}

const char *mtf_blas_core_fix(char **argv)
{
    const char *core = openblas_get_corename();
    if (mtf_blas_core_is_lesser(core, cpu_has_avx512(), getenv(CORETYPE), getenv(MARKER) != NULL)) {
        mtf_blas_core_restart(argv, core); /* the slower kernels are right too, should it return */
    }
    return core;
}
