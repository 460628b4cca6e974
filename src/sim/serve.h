/** One served request and the events that tell of it: private to src/sim. */
#ifndef MTF_SIM_SERVE_H
#define MTF_SIM_SERVE_H

#include "sim/sim_private.h"

#define SIM_LOGGED (SIM_SHOWN * MTF_SIM_ACTIONS) /* actions of a request at most */

/** What the recommender did on a request. */
typedef struct sim_served {
    int64_t policy_version;
    mtf_bucket bucket;
    uint32_t action_count; /* once, or for each item shown */
    uint32_t bound_count;  /* of lower and upper: 0 where noise has no box */
    float state[SIM_STATE];
    float baseline[SIM_LOGGED], action[SIM_LOGGED], lower[SIM_LOGGED], upper[SIM_LOGGED];
    sim_list list;
} sim_served;

/** The policy to ask, and where each item has its own action the actor of it. */
typedef struct sim_server {
    const mtf_policy *policy;
    const mtf_actor *items; /* NULL: one action a request */
} sim_server;

/** Asks the policy, explores, ranks. policy fits the simulator. */
void sim_serve(const mtf_sim *sim, const sim_server *server, const sim_visit *visit,
               mtf_str request_id, sim_served *served);

#define SIM_USER_ID_CHARS 24
void sim_user_id(char text[SIM_USER_ID_CHARS], uint32_t user);

/** Whose events these are. */
typedef struct sim_names {
    uint64_t seed;
    uint32_t round, session, user;
    bool session_ids;
} sim_names;

/** An event with everything it borrows; fill it, then hand out &event until the next fill. */
typedef struct sim_event {
    mtf_event event;
    char user_id[SIM_USER_ID_CHARS], event_id[64], request_id[64], session_id[56],
        item_ids[SIM_SHOWN][20];
    float predictions[SIM_SHOWN][SIM_BEHAVIOURS];
    float features[SIM_SHOWN][SIM_FEATURES];
    mtf_item items[SIM_SHOWN];
    mtf_signal signals[SIM_SHOWN][SIM_BEHAVIOURS];
} sim_event;

void sim_request_id(char text[64], const sim_names *names, uint32_t step);
/** outcome NULL: the signals come as feedback. */
/** features: of an item that are logged, 0 or all. */
void sim_event_request(sim_event *out, const sim_names *names, uint32_t step, int64_t time_ms,
                       const sim_served *served, uint32_t features, const sim_outcome *outcome);
/** What was done with shown item i of the request of `step` at request_ms; item its item id's key.
 */
void sim_event_feedback(sim_event *out, const sim_names *names, uint32_t step, int64_t time_ms,
                        int64_t request_ms, uint32_t i, uint64_t item, const sim_outcome *outcome);
void sim_event_end(sim_event *out, const sim_names *names, int64_t time_ms);
/** What shown item i of a list is named by. */
uint64_t sim_item_key(const sim_list *list, uint32_t i);

#endif
