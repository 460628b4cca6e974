/** Explored rows of the simulator with the truth that estimators are after, worked out on the
 *  simulator itself: what a request brings under another policy is asked of the very user, in the
 *  very mood, by a second life of her visit. For bench/estimators.c and its small version among the
 *  unit tests. */
#ifndef MTF_KNOWN_TRUTH_H
#define MTF_KNOWN_TRUTH_H

#include "learner/scorecard.h"
#include "sim/sim.h"

/** Logged by the policy of action 0 everywhere, exploring +-box in the first `explored` dimensions,
 *  three visits a user. Evaluated: a policy that moves in these dimensions towards what pays,
 *  differently from state to state. */
typedef struct known_world {
    mtf_sim *sim;
    mtf_policy *logging, *evaluated;
    mtf_action_table table;
    uint32_t explored;
    float box;
    double half_width, gamma; /* of the smoothed policy; of returns */
} known_world;

/** move: how far the evaluated policy goes in each explored dimension, about. */
mtf_status known_world_open(known_world *world, uint32_t explored, double move, double half_width,
                            mtf_err *err) MTF_NODISCARD;
void known_world_close(known_world *world);

/** A fresh cohort of so many users, all eligible, states normalised by its own rows. */
mtf_status known_cohort(const known_world *world, uint64_t seed, uint32_t users, mtf_cohort *cohort,
                        mtf_err *err) MTF_NODISCARD;

/** A truth and its own standard error. */
typedef struct known_value {
    double value, se;
} known_value;

typedef struct known_truth {
    known_value reward;      /* of a logged request, as served */
    known_value smoothed;    /* of a logged request under the smoothed policy */
    known_value gain;        /* its gain over as served */
    known_value first_order; /* return gained by the policy's action, once, over the baseline's */
    known_value served;      /* discounted return of a session, as served */
    known_value value;       /* the same under the evaluated policy without noise */
    known_value value_gain;  /* its gain over as served */
} known_truth;

/** Over fresh users of its own. */
mtf_status known_truth_make(const known_world *world, uint64_t seed, uint32_t users,
                            known_truth *truth, mtf_err *err) MTF_NODISCARD;

/** The truth of a metric of scorecard.h; false: this file knows none. */
bool known_truth_find(const known_truth *truth, const char *metric, known_value *value);

#endif
