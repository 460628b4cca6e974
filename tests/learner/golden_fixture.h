/** A golden file: lines of "name count number number ...", what a script of tests/golden computed
 *  in float64 and what it started from. */
#ifndef MTF_GOLDEN_FIXTURE_H
#define MTF_GOLDEN_FIXTURE_H

#include "learner/batch.h"
#include "learner/mlp.h"
#include "support/mtf_test.h"

typedef struct golden golden;

/** Fails the test when it is not there. */
golden *golden_read(const char *path);
void golden_free(golden *file);
/** Whether there is an entry of that name. */
bool golden_has(const golden *file, const char *fmt, ...) MTF_PRINTF(2, 3);
/** The entry of that name, which must have `count` numbers (any, if 0). */
const double *golden_find(const golden *file, size_t count, const char *fmt, ...) MTF_PRINTF(3, 4);
/** A block from entries <name>.w1 ... <name>.b3. */
void golden_block(const golden *file, const mtf_mlp *mlp, float *block, const char *name);
/** A block against them: each tensor within tolerance, relative to its largest element. */
void golden_compare(const golden *file, const mtf_mlp *mlp, const float *block, double tolerance,
                    const char *name);
/** A batch from entries <name>.s ... <name>.weight, and <name>.parts if the file's "scales" say of
 *  how many the reward is; its blocks are freed by the second. */
mtf_batch golden_batch(const golden *file, const char *name, size_t rows, uint32_t state_dim,
                       uint32_t action_dim);
void golden_batch_free(mtf_batch *batch);

#endif
