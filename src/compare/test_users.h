/** The users on whom everyone is judged, and nobody learned from. Of a seed: what they were shown
 *  while the initial policy was explored round in its box (the ranking metric), and they themselves
 *  (the A/B test). */
#ifndef MTF_COMPARE_TEST_USERS_H
#define MTF_COMPARE_TEST_USERS_H

#include "compare/result.h"
#include "learner/cohort.h"

/** policy.list and policy.item_features as the simulator's requests are; without lists none. */
void mtf_compare_set_lists(mtf_settings *settings, bool lists);
/** An owned simulator with the settings' box, noise and reward; seed: whose users. shuffle: the
 * null control of mtf_sim_run_round. MTF_INVALID. */
mtf_status mtf_compare_sim(const mtf_settings *settings, mtf_sim_explore explore, bool shuffle,
                           uint64_t seed, uint32_t users, uint32_t sessions, mtf_sim **sim,
                           mtf_err *err) MTF_NODISCARD;
/** Hash of the simulated world as these settings have it: its reward and action table too.
 *  MTF_INVALID: they do not fit it; says where. */
mtf_status mtf_compare_world(const mtf_settings *settings, uint64_t *hash,
                             mtf_err *err) MTF_NODISCARD;
/** The policy that everything starts from: `action` (A) everywhere, version 1; items: for each item
 *  of the settings' lists by itself, so that each is explored. Owned; NULL: no memory. */
mtf_policy *mtf_compare_initial(const mtf_settings *settings, const mtf_action_table *table,
                                const float *action, bool items);

typedef struct mtf_test_users {
    const mtf_settings *settings; /* borrowed */
    mtf_sim *sim;
    mtf_action_table table;
    mtf_cohort shown; /* its states are raw */
    mtf_cohort lists; /* the same with an action for each item; empty if nobody has one */
    float *actions;   /* room for an actor's on either */
} mtf_test_users;

/** lists: actors may have an action for each item. start (A): of the initial policy. Close it also
 *  after a failure. */
mtf_status mtf_test_users_open(mtf_test_users *test, const mtf_settings *settings, bool lists,
                               const float *start, uint64_t seed, const atomic_bool *stop,
                               mtf_err *err) MTF_NODISCARD;
/** Zeroed memory is fine. */
void mtf_test_users_close(mtf_test_users *test);

/** The actor's mean action (A) on the states that test users were in. */
void mtf_test_users_drift(mtf_test_users *test, const mtf_sim_actor *actor,
                          double drift[MTF_SIM_ACTIONS]);
/** Fills in all that is measured of an actor: gauc, users, days. */
mtf_status mtf_test_users_judge(mtf_test_users *test, const mtf_sim_actor *actor,
                                const atomic_bool *stop, mtf_compare_result *result,
                                mtf_err *err) MTF_NODISCARD;

#endif
