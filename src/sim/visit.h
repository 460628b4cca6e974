/** A simulated user, one visit of hers and the lists it brings: private to src/sim. user.c makes
 * the user and the state that shows her, list.c ranks a list and draws her answer. */
#ifndef MTF_SIM_VISIT_H
#define MTF_SIM_VISIT_H

#include "client/policy.h"
#include "sim/world.h"

#define SIM_USER_HOUR 200 /* index of an evaluation's hour of day in a user's stream */

typedef struct sim_user {
    uint64_t key;
    uint32_t type;
    float activity; /* shift of all behaviours' logits */
    float patience; /* temper at the start of a visit */
    float profile[SIM_PROFILE];
    float habits[SIM_BEHAVIOURS]; /* long-run averages as the profile store has them, noisy */
} sim_user;

/** What the user did with one shown item. */
typedef struct sim_outcome {
    float values[SIM_SHOWN][SIM_BEHAVIOURS]; /* watch in seconds, the others 0 or 1 */
    bool leaves;
} sim_outcome;

typedef struct sim_visit {
    sim_user user;
    uint64_t key;
    float temper;
    uint32_t step; /* requests served */
    float hour;    /* of the day, in days: [0, 1) */
    float last[SIM_BEHAVIOURS],
        sum[SIM_BEHAVIOURS]; /* of the last list; of all lists so far; per item */
} sim_visit;

/** One list: its candidates' predictions (column-major: behaviour, candidate) and what was shown.
 */
typedef struct sim_list {
    uint64_t key;
    float seen[SIM_ATTRIBUTES][SIM_CANDIDATES];
    float predictions[SIM_BEHAVIOURS][SIM_CANDIDATES];
    float scores[SIM_CANDIDATES];
    uint32_t shown[SIM_SHOWN];
    /* of a world with items (world.h): */
    bool bait[SIM_CANDIDATES];
    float features[SIM_CANDIDATES][SIM_FEATURES];
} sim_list;

void sim_user_init(sim_user *user, const sim_world *world, uint64_t seed, uint64_t number);
void sim_visit_begin(sim_visit *visit, uint64_t number, float hour);
/** state (SIM_STATE) out. */
void sim_visit_state(const sim_visit *visit, const sim_world *world, float *state);
/** The candidates of the visit's next list. */
void sim_visit_candidates(const sim_visit *visit, const sim_world *world, sim_list *list);
/** Ranks them by scores (SIM_CANDIDATES). */
void sim_list_take(sim_list *list, const float *scores);
/** The visit's next list under the action. */
void sim_visit_rank(const sim_visit *visit, const sim_world *world, const mtf_action_table *table,
                    const float *action, sim_list *list);
/** True expected values of the behaviours of shown item i: what sim_visit_answer draws from.
 * attributes (SIM_ATTRIBUTES) out may be NULL. */
void sim_visit_rates(const sim_visit *visit, const sim_world *world, const sim_list *list,
                     uint32_t i, float *rates, float *attributes);
/** Draws the behaviours and the temper's move: outcome->leaves says whether this was the last list.
 */
void sim_visit_answer(sim_visit *visit, const sim_world *world, const sim_list *list,
                      sim_outcome *outcome);
/** Takes an outcome into the visit's history (its own, or another's in the shuffled control). */
void sim_visit_note(sim_visit *visit, const sim_outcome *outcome);

#endif
