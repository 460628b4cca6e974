/** An A/B test on the simulator: what users do, and what their days come to, under an actor without
 *  exploration. Every actor meets the same users, candidates and luck (sim.h). */
#ifndef MTF_SIM_LIVE_H
#define MTF_SIM_LIVE_H

#include <stdatomic.h>

#include "sim/sim.h"

/** Who acts: a (rows,A) out in [-1,1] from raw states (rows,S). */
typedef struct mtf_sim_actor {
    void *self;
    void (*act)(void *self, size_t rows, const float *states, float *actions);
    const mtf_policy *items; /* gives each item an action of its own instead; NULL: nobody does */
} mtf_sim_actor;

/** Acts as a policy does, which is borrowed. */
mtf_sim_actor mtf_sim_actor_of(const mtf_policy *policy);

/** One user's means. */
typedef struct mtf_sim_days {
    float valid, watch; /* a day: items validly consumed, seconds watched */
    float value;        /* a session: undiscounted reward, formula 2 */
} mtf_sim_days;

/** Users 0 .. users - 1 of the simulator's seed, each `visits` times a day for `days` days; days
 *  (users,) out. A function of its arguments alone; one thread, the actor's calls too. MTF_NOMEM,
 *  MTF_INVALID: a policy of other items, MTF_CLOSED: told to stop (stop may be NULL). */
mtf_status mtf_sim_live(const mtf_sim *sim, const mtf_sim_actor *actor, uint32_t users,
                        uint32_t visits, uint32_t days, const atomic_bool *stop, mtf_sim_days *out,
                        mtf_err *err) MTF_NODISCARD;

#endif
