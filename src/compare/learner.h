/** A learner of a cell: trained on a store's rows, once or round after round, as `mtf learn` trains
 *  a round: the same survey, feed and steps. No gate: whatever was learned is judged. */
#ifndef MTF_COMPARE_LEARNER_H
#define MTF_COMPARE_LEARNER_H

#include "client/policy.h"
#include "learner/algorithm.h"
#include "learner/feed.h"
#include "learner/scratch.h"
#include "sim/live.h"

typedef struct mtf_compare_learner {
    const mtf_settings *settings;
    const mtf_algorithm_ops *ops;
    mtf_algorithm *algorithm;
    mtf_algorithm_config config;
    const mtf_action_table *table;
    mtf_row_shape shape;       /* of the rows that it learns from, their signals aside */
    mtf_normaliser normaliser; /* of the first rows */
    const atomic_bool *stop;   /* may be NULL */
    void (*progress)(void *arg, int64_t done, int64_t total); /* may be NULL */
    void *arg;
    double seconds; /* spent so far */
    bool trained;
    float *states;      /* room to act in: normalised ones */
    mtf_policy *served; /* what the actor acts by, where each item has its own action */
} mtf_compare_learner;

/** settings: algorithm, seed, and the steps of one training; they and the table are borrowed. Where
 *  it has an actor, that starts near `start` (A), the policy that is explored round. Fini also
 * after a failure. */
mtf_status mtf_compare_learner_init(mtf_compare_learner *learner, const mtf_settings *settings,
                                    const mtf_action_table *table, const float *start,
                                    mtf_err *err) MTF_NODISCARD;
void mtf_compare_learner_fini(mtf_compare_learner *learner);
/** Goes on from what it is, on the rows explored under `version`. *diverged: a loss or a weight is
 *  not finite; it is then of no more use. MTF_CLOSED: told to stop. */
mtf_status mtf_compare_learner_train(mtf_compare_learner *learner, const mtf_scratch *logs,
                                     int64_t version, bool *diverged, mtf_err *err) MTF_NODISCARD;
/** Is it better than the policy that explored these rows, on the users that training held out? The
 *  gate's check of value (gate.z), and of support (gate.outside_max). Once trained on them. */
mtf_status mtf_compare_learner_check(mtf_compare_learner *learner, const mtf_scratch *logs,
                                     int64_t version, bool *better, mtf_err *err) MTF_NODISCARD;
/** What it would do; borrows the learner until it is trained on or asked again. */
mtf_status mtf_compare_learner_actor(mtf_compare_learner *learner, mtf_sim_actor *actor,
                                     mtf_err *err) MTF_NODISCARD;

#endif
