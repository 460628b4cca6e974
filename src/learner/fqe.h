/** Fitted Q evaluation: what a session is worth under a policy, by a network that is fitted to
 *  y = r + gamma Q'(s', mu(s')) on rows that another policy explored (arXiv:1903.08738, algorithm
 *  3). With alpha > 0 it is the conservative form of BatchRL-MTF (arXiv:2208.04560, appendix A):
 *
 *      alpha mean( Q(s, mu(s)) - Q(s, a) ) + 1/2 mean( (Q(s, a) - y)^2 )
 *
 *  which lowers the policy's value the further it goes from what was logged. With gamma 0 it is a
 *  regression of the reward on state and action, the doubly robust estimator's model.
 *
 *  Assumes that the state tells all that the future hangs on, and that the network can say what the
 *  policy's actions bring: beyond the logged box it guesses. Neither can be seen in the data.
 *
 *  Ours, where the paper is silent: inputs are standardised over the rows; the network says by how
 *  many of their standard deviations Q differs from the mean logged return, and alpha is in that
 *  unit; Q' follows Q by `soft_update` each step; the rate falls by cosine to a tenth. */
#ifndef MTF_FQE_H
#define MTF_FQE_H

#include <stdatomic.h>

#include "learner/bootstrap.h"
#include "learner/fits.h"

typedef struct mtf_fqe_config {
    uint32_t hidden, batch;
    uint64_t steps, seed;
    double gamma, rate, soft_update, alpha;
    const atomic_bool *stop; /* may be NULL */
} mtf_fqe_config;

/** gamma 0.9, alpha 0, and appendix A's batch 512, 5000 steps, rate 1e-4. */
mtf_fqe_config mtf_fqe_config_default(void);
#define MTF_FQE_ALPHA 5e-4 /* appendix A's */

typedef struct mtf_fqe mtf_fqe;

mtf_status mtf_fqe_new(const mtf_fqe_config *config, uint32_t state_dim, uint32_t action_dim,
                       mtf_fqe **fqe, mtf_err *err) MTF_NODISCARD;
void mtf_fqe_free(mtf_fqe *fqe);

/** Fits anew to the cohort's logged rows whose next state is known or that end their session;
 *  times (users,): how often each user's rows count, NULL: once. The policy is cohort->mu. A
 *  function of its arguments alone. MTF_SKIP: there are no such rows. MTF_CLOSED: told to stop. */
mtf_status mtf_fqe_fit(mtf_fqe *fqe, const mtf_cohort *cohort, const uint32_t *times,
                       mtf_err *err) MTF_NODISCARD;
/** q (rows,) out: Q(s, a), s (rows,S) as in the cohort, a (rows,A). After a fit. */
void mtf_fqe_value(mtf_fqe *fqe, size_t rows, const float *s, const float *a, float *q);

/** What a session is worth from its first state on, discounted by gamma. */
typedef struct mtf_session_value {
    mtf_estimate value; /* mean Q(s0, mu(s0)) over all logged first states of judged users (appendix
                           A: over 5000 of them) */
    mtf_estimate gain;  /* over the return logged from the same states, exploration included */
} mtf_session_value;

/** Errors come from `refits` fits anew, each with other users and another start of the network
 *  (arXiv:2102.03607; few, hence Student's t): fewer than two give no interval. The result does not
 *  depend on the threads. Errors are mtf_fqe_fit's. */
mtf_status mtf_fqe_estimate(const mtf_fqe_config *config, const mtf_fold *folds, size_t fold_count,
                            uint32_t refits, const mtf_fits *fits, mtf_session_value *out,
                            mtf_err *err) MTF_NODISCARD;

#endif
