/** What the tests of the learners share: a small configuration, random batches, and a plain float64
 *  network to compare with. */
#ifndef MTF_LEARNER_FIXTURE_H
#define MTF_LEARNER_FIXTURE_H

#include "learner/algorithm.h"
#include "learner/mlp.h"
#include "support/mtf_test.h"

/** The defaults of the project, for small networks: S 5, A 3, H 16, m 4, B 32. */
mtf_algorithm_config fixture_config(void);
/** Opens the default learner; fails the test when it cannot. */
mtf_algorithm *fixture_open(const mtf_algorithm_config *config);

/** A batch with memory of its own, zeroed but for weight = 1. */
mtf_batch *fixture_batch_new(const mtf_algorithm_config *config);
void fixture_batch_free(mtf_batch *batch);
/** Random rows: baseline actions within `reach` of 0, boxes of +-0.15 round them (a few frozen or
 *  narrow), actions inside, rewards within +-1, one row in eight done. */
void fixture_batch_fill(mtf_batch *batch, mtf_rng *rng, double reach);
/** batch's rows = those of `part`, over and over. */
void fixture_batch_repeat(mtf_batch *batch, const mtf_batch *part);

double fixture_uniform(mtf_rng *rng, double low, double high);
/** The floats of a block that carry something, tensor by tensor, are equal bit for bit. */
void fixture_assert_same_block(const mtf_mlp *mlp, const float *a, const float *b);

/** A network of the same tensors in float64, dense, in the table's order. */
size_t plain_count(const mtf_mlp *mlp);
void plain_from(const mtf_mlp *mlp, const float *block, double *plain);
/** y (outputs) of one row x (inputs); h1, h2 (hidden) out unless NULL. */
void plain_forward(const mtf_mlp *mlp, const double *plain, const double *x, double *h1, double *h2,
                   double *y);

#endif
