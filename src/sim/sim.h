/** A simulated recommender and its users, for the demo, the comparison and the tests. Users have a
 *  hidden type and hidden traits; a request sees them through a noisy state of 64 floats, ranks 100
 *  candidates by formula 1 of arXiv:2404.17589 under a 10-D action, shows the best five and draws
 * five behaviours of each. Lists wear a user's temper down or restore it; she leaves by it.
 *
 *  What is hidden (types, traits, tempers, true rates) has no name here: others see events and
 * values. The world is the same for every seed; the seed makes users and draws. Every draw is keyed
 * by (seed, user, visit, request, candidate) and never by the action, so that two policies that are
 * evaluated on one seed meet the same users, candidates and luck (common random numbers).
 *
 *  A simulator is immutable once open: rounds and evaluations may run on any number of threads. */
#ifndef MTF_SIM_SIM_H
#define MTF_SIM_SIM_H

#include "client/policy.h"
#include "core/event.h"

#define MTF_SIM_STATE      64
#define MTF_SIM_ACTIONS    10
#define MTF_SIM_BEHAVIOURS 5 /* valid, watch (seconds), finish, positive, negative */
#define MTF_SIM_SHOWN      5
#define MTF_SIM_FEATURES   4 /* of an item, in a world with items */

typedef enum mtf_sim_explore {
    MTF_SIM_EXPLORE_NONE, /* the policy's own action, bucket baseline */
    MTF_SIM_EXPLORE_BOX,  /* formula 3 */
    MTF_SIM_EXPLORE_GAUSSIAN
} mtf_sim_explore;

typedef struct mtf_sim_config {
    uint64_t seed;
    uint32_t sessions; /* of a round */
    uint32_t users;    /* they visit in turn, sessions / users times a round */
    mtf_sim_explore explore;
    double box;              /* half-width; negative: what the policy's record says */
    double sigma;            /* of the Gaussian */
    double baseline_share;   /* of requests served without noise, bucket baseline */
    bool feedback_separate;  /* signals as Feedback events instead of joined to the request */
    bool session_ids;        /* events carry a session_id */
    bool shuffle_rewards;    /* control: see mtf_sim_run_round */
    bool items;              /* the best weights depend on the item, which its features tell, and a
                              * list is read from the top: another world */
    bool item_noise_shared;  /* of a policy with an action per item: one draw a request */
    int64_t start_ms;        /* of round 0 */
    int64_t span_ms;         /* of a round: all its sessions start and end within */
    int64_t separation_ms;   /* between two sessions of a user: above gap + grace */
    int64_t max_duration_ms; /* the sessionizer's cap, to count the cuts it will make */
    const char *actions; /* setting policy.actions; predictions in the order of the behaviours */
    const char *reward_weights, *reward_clip; /* settings reward.*, of the five behaviours only */
} mtf_sim_config;

/** A day a round, box exploration, everything else off; 3 visits per user and round. Texts are
 * those of the default settings. */
mtf_sim_config mtf_sim_config_default(void);

typedef struct mtf_sim mtf_sim;

/** MTF_INVALID names the field and the remedy. Copies what it needs. */
mtf_status mtf_sim_open(const mtf_sim_config *config, mtf_sim **sim, mtf_err *err) MTF_NODISCARD;
void mtf_sim_close(mtf_sim *sim);

/** Whom a round asks and whom it tells; all calls come from mtf_sim_run_round's thread. */
typedef struct mtf_sim_service {
    void *self;
    /** The policy that serves the next request, borrowed until the next call: asked before each, so
     *  that it may follow a topic. */
    const mtf_policy *(*policy)(void *self);
    /** One event, in order of event time over all users, borrowed for the call. Not MTF_OK ends the
     *  round with that status. */
    mtf_status (*emit)(void *self, const mtf_event *event, mtf_err *err);
    /** The canary that serves its share of users in the policy's place, NULL: there is none.
     *  Borrowed and asked as the policy is, after it. May be NULL. */
    const mtf_policy *(*canary)(void *self);
} mtf_sim_service;

typedef struct mtf_sim_counts {
    int64_t sessions, requests, events;
    int64_t cap_cuts; /* session records beyond one per session: requests in two aligned buckets */
    int64_t
        late_ends;   /* SessionEnds in another bucket than their last request: they will be late */
    int64_t last_ms; /* time of the last event */
} mtf_sim_counts;

/** One round of sessions, interleaved over start_ms + [round, round + 1) * span_ms, each closed by
 * a SessionEnd. Ids are unique over rounds. With shuffle_rewards every request is logged with the
 *  outcome (signals, and whether the user left) of a random earlier request, so that neither
 * rewards nor session lengths tell anything about states and actions. MTF_INVALID: the policy does
 * not fit. */
mtf_status mtf_sim_run_round(const mtf_sim *sim, uint32_t round, const mtf_sim_service *service,
                             mtf_sim_counts *counts, mtf_err *err) MTF_NODISCARD;

/** Mean undiscounted formula-2 reward per session, with its 95 % interval, and what made it up. */
typedef struct mtf_sim_value {
    double mean, low, high;
    double session_requests;               /* mean requests per session */
    double behaviours[MTF_SIM_BEHAVIOURS]; /* means per shown item */
} mtf_sim_value;

/** The value of a policy without noise over `sessions` fresh users of `seed`, one session each.
 * values (sessions) out, may be NULL: session by session, to compare two policies on the same
 * numbers. The result does not depend on `threads`. */
mtf_status mtf_sim_evaluate(const mtf_sim *sim, const mtf_policy *policy, uint32_t sessions,
                            uint64_t seed, uint32_t threads, float *values, mtf_sim_value *value,
                            mtf_err *err) MTF_NODISCARD;
/** The same for one action everywhere. */
mtf_status mtf_sim_evaluate_action(const mtf_sim *sim, const float *action, uint32_t sessions,
                                   uint64_t seed, uint32_t threads, float *values,
                                   mtf_sim_value *value, mtf_err *err) MTF_NODISCARD;

/** Mean of b - a and its 95 % interval, paired. count >= 2. */
typedef struct mtf_sim_gain {
    double mean, low, high;
} mtf_sim_gain;
mtf_sim_gain mtf_sim_paired(const float *a, const float *b, uint32_t count);

/** What can be reached in this world; each winner of a search was evaluated on fresh numbers. */
typedef struct mtf_sim_reference {
    uint64_t world;                  /* hash of the world, the reward and the action table */
    mtf_sim_value initial;           /* action 0 everywhere */
    mtf_sim_value best_constant;     /* one action for everybody */
    mtf_sim_value best_personalised; /* the best action per hidden type */
    mtf_sim_value
        best_myopic; /* per hidden type, the action of the best expected reward of a request */
} mtf_sim_reference;

/** Hash of everything that reference values hang on. */
uint64_t mtf_sim_world_hash(const mtf_sim *sim);

/** The committed values. MTF_INVALID when they belong to another world, reward or action table. */
mtf_status mtf_sim_reference_get(const mtf_sim *sim, mtf_sim_reference *reference,
                                 mtf_err *err) MTF_NODISCARD;

/** How hard a search looks. */
typedef struct mtf_sim_search {
    uint32_t sessions, generations; /* of each evaluation; of the evolution strategy */
    uint32_t check_sessions;        /* of the fresh evaluation */
    uint32_t threads;
    uint64_t seed;
    void (*progress)(void *arg, int64_t done,
                     int64_t total); /* may be NULL; from the caller's thread */
    void *progress_arg;
} mtf_sim_search;

/** What the committed values were made with: some minutes on two cores. */
mtf_sim_search mtf_sim_search_default(void);
/** Searches on the true simulator. */
mtf_status mtf_sim_describe(const mtf_sim *sim, const mtf_sim_search *search,
                            mtf_sim_reference *reference, mtf_err *err) MTF_NODISCARD;

/** The reference for people, as JSON, and as the text of src/sim/reference.inc. */
void mtf_sim_reference_text(const mtf_sim_reference *reference, mtf_buf *out);
void mtf_sim_reference_json(const mtf_sim_reference *reference, mtf_buf *out);
void mtf_sim_reference_source(const mtf_sim_reference *reference, mtf_buf *out);

#endif
