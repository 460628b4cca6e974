/** What src/sim's files share and nobody else sees. */
#ifndef MTF_SIM_PRIVATE_H
#define MTF_SIM_PRIVATE_H

#include "client/actor.h"
#include "sim/sim.h"
#include "sim/visit.h"

struct mtf_sim {
    mtf_sim_config config; /* its texts are not kept */
    sim_world world;
    mtf_action_table table;
    double reward_weight[SIM_BEHAVIOURS], reward_clip[SIM_BEHAVIOURS]; /* clip 0: none */
    uint32_t slots;  /* sessions of one user in a round */
    int64_t slot_ms; /* of which the end is kept free for the separation */
    uint64_t hash;
};

const char *sim_behaviour_name(uint32_t behaviour);
/** Does it map this world's states, and its items' features and predictions where each has its own
 *  action, to its actions? MTF_INVALID says what it does. */
mtf_status sim_policy_fits(const mtf_sim *sim, const mtf_policy *policy,
                           mtf_err *err) MTF_NODISCARD;
/** The candidates' predictions, and their features as a policy with an action per item takes them,
 * row by row. */
typedef struct sim_candidates {
    float predictions[SIM_CANDIDATES][SIM_BEHAVIOURS];
    const float *features; /* (SIM_CANDIDATES, the policy's item_features) */
} sim_candidates;
void sim_candidates_of(const sim_list *list, sim_candidates *candidates);
/** The visit's next list under a policy with an action for each item, from the state it sees. */
void sim_rank_items(const mtf_sim *sim, const mtf_actor *items, const sim_visit *visit,
                    const float *state, sim_list *list);
/** Formula 2 over the shown items. */
double sim_reward(const mtf_sim *sim, const sim_outcome *outcome);
/** The longest a visit can last: what is left free at the end of a slot. */
int64_t sim_visit_ms_max(void);
/** Time between a list and the next: the watching and a moment between. */
int64_t sim_pause_ms(const sim_outcome *outcome);

/** Who acts in an evaluation: a network, or one action per hidden type. */
typedef struct sim_actor {
    const mtf_policy *policy; /* NULL: the actions */
    const mtf_actor *items;   /* the policy's, where each item has its own action; else NULL */
    float actions[SIM_TYPES][MTF_SIM_ACTIONS];
    int32_t only_type;  /* users of this type only; -1: all */
    uint32_t steps_max; /* requests of a session; 1: the immediate reward alone */
} sim_actor;

mtf_status sim_evaluate(const mtf_sim *sim, const sim_actor *actor, uint32_t sessions,
                        uint64_t seed, uint32_t threads, float *values, mtf_sim_value *value,
                        mtf_err *err) MTF_NODISCARD;

/** Hash of everything that reference values hang on. */
uint64_t sim_hash(const mtf_sim *sim);

#endif
