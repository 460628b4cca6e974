/** One action for everybody, searched on the simulated recommender: what es, bo, grid and constant
 *  come to as rivals of a learner. Each action that the search asks for is served to some sessions;
 *  the search is told their mean reward and its variance. */
#ifndef MTF_SIM_TUNE_H
#define MTF_SIM_TUNE_H

#include <stdatomic.h>

#include "search/search.h"
#include "sim/sim.h"

typedef struct mtf_sim_tune_config {
    const char *method;     /* of search/search.h */
    int64_t sessions;       /* that the whole search may cost; as many as a learner's rounds have */
    uint32_t sessions_each; /* an action is served to, at least 2 */
    /** Do the actions of one batch meet the same users and the same luck? False: each meets users
     *  nobody else has met, as in production, where a user visits once; this is what a comparison
     *  with learners wants. True: values within a batch lose the noise that users make, which no
     * live system can have; for finding out what can be reached. */
    bool common;
    const float *start; /* (MTF_SIM_ACTIONS,) NULL: action 0 */
    uint64_t seed;      /* of the search and of its users */
    uint32_t threads;
    const atomic_bool *stop;                                  /* may be NULL */
    void (*progress)(void *arg, int64_t done, int64_t total); /* sessions; may be NULL */
    void *progress_arg;
} mtf_sim_tune_config;

/** What a search came to. */
typedef struct mtf_sim_tuned {
    float action[MTF_SIM_ACTIONS]; /* what it holds best */
    uint32_t points;               /* actions tried */
    int64_t sessions;              /* served meanwhile */
    double mean;                   /* reward of a session meanwhile: what searching cost */
} mtf_sim_tuned;

/** 200,000 sessions, 500 an action, from action 0. */
mtf_sim_tune_config mtf_sim_tune_config_default(const char *method);

/** Searches until the next batch would cost more than is left, or the search is at its end. policy
 *  out, the caller's: the best action for everybody, algorithm = the method, version and parent 0,
 *  the numbers search.points, search.sessions and search.reward; may be NULL. MTF_INVALID: not
 *  enough sessions for a batch, or the search's words. MTF_CLOSED: told to stop. The result does
 * not depend on the number of threads. */
mtf_status mtf_sim_tune(const mtf_sim *sim, const mtf_sim_tune_config *config, mtf_sim_tuned *tuned,
                        mtf_policy **policy, mtf_err *err) MTF_NODISCARD;

#endif
