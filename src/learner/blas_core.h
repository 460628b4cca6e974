/** Which of its kernels OpenBLAS runs. Older releases take new AMD CPUs for Haswell and use half of
 *  their speed; the choice is made when the library is loaded, so a program must start anew to
 *  change it. */
#ifndef MTF_LEARNER_BLAS_CORE_H
#define MTF_LEARNER_BLAS_CORE_H

#include "core/status.h"

/** Call first in main, before any thread. Where the CPU has AVX-512 F, BW, DQ and VL and OpenBLAS
 *  has chosen kernels without it, executes this program again, once, with
 * OPENBLAS_CORETYPE=SkylakeX; an OPENBLAS_CORETYPE set by the operator stays. Returns the core in
 * use, for the log. */
const char *mtf_blas_core_fix(char **argv);

/** Its two halves, for tests. Whether a program with these facts should start anew; core:
 * OpenBLAS's name for its kernels; chosen: OPENBLAS_CORETYPE or NULL; again: it has been started
 * anew already. */
bool mtf_blas_core_is_lesser(const char *core, bool cpu_avx512, const char *chosen, bool again);
/** Starts anew; returns only when it cannot, with the environment's choice as it was. */
void mtf_blas_core_restart(char **argv, const char *core);

#endif
