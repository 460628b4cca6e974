/* Visits are played side by side, so that an actor is asked for many actions at once. */
#include "sim/live.h"

#include <stdlib.h>

#include "sim/draw.h"
#include "sim/sim_private.h"

#define SIDE_BY_SIDE 256 /* visits */

/** A block of visits; those still under way come first. */
typedef struct block {
    const mtf_sim *sim;
    const mtf_sim_actor *actor;
    mtf_actor *items; /* of actor->items */
    uint32_t under_way;
    uint32_t user[SIDE_BY_SIDE];
    sim_visit visits[SIDE_BY_SIDE];
    float states[SIDE_BY_SIDE * SIM_STATE], actions[SIDE_BY_SIDE * MTF_SIM_ACTIONS];
} block;

static void act_policy(void *self, size_t rows, const float *states, float *actions)
{
    for (size_t i = 0; i < rows; i++)
        mtf_policy_act(self, states + i * SIM_STATE, actions + i * MTF_SIM_ACTIONS);
}

mtf_sim_actor mtf_sim_actor_of(const mtf_policy *policy)
{
    if (policy->per_item) return (mtf_sim_actor){.items = policy};
    return (mtf_sim_actor){.self = (void *)(uintptr_t)policy, .act = act_policy};
}

/** Sums of a user's visits so far, to be divided in the end. */
static void note(const mtf_sim *sim, const sim_outcome *outcome, mtf_sim_days *sums)
{
    for (uint32_t i = 0; i < SIM_SHOWN; i++) {
        sums->valid += outcome->values[i][SIM_VALID];
        sums->watch += outcome->values[i][SIM_WATCH];
    }
    sums->value += (float)sim_reward(sim, outcome);
}

/** The list of visit i under way. */
static void rank(const block *b, uint32_t i, sim_list *list)
{
    if (b->items)
        sim_rank_items(b->sim, b->items, &b->visits[i], b->states + (size_t)i * SIM_STATE, list);
    else
        sim_visit_rank(&b->visits[i], &b->sim->world, &b->sim->table,
                       b->actions + (size_t)i * MTF_SIM_ACTIONS, list);
}

/** One list for every visit under way. */
static void play_lists(block *b, mtf_sim_days *sums)
{
    sim_list list;
    sim_outcome outcome = {.leaves = false};
    uint32_t left = 0;
    for (uint32_t i = 0; i < b->under_way; i++)
        sim_visit_state(&b->visits[i], &b->sim->world, b->states + (size_t)i * SIM_STATE);
    if (!b->items) b->actor->act(b->actor->self, b->under_way, b->states, b->actions);
    for (uint32_t i = 0; i < b->under_way; i++) {
        sim_visit *visit = &b->visits[i];
        rank(b, i, &list);
        sim_visit_answer(visit, &b->sim->world, &list, &outcome);
        sim_visit_note(visit, &outcome);
        note(b->sim, &outcome, &sums[b->user[i]]);
        if (outcome.leaves) continue;
        b->visits[left] = *visit;
        b->user[left++] = b->user[i];
    }
    b->under_way = left;
}

mtf_status mtf_sim_live(const mtf_sim *sim, const mtf_sim_actor *actor, uint32_t users,
                        uint32_t visits, uint32_t days, const atomic_bool *stop, mtf_sim_days *out,
                        mtf_err *err)
{
    const uint64_t each = (uint64_t)visits * days, count = users * each;
    const mtf_status fits = actor->items ? sim_policy_fits(sim, actor->items, err) : MTF_OK;
    if (fits) return fits;
    block *b = calloc(1, sizeof *b);
    if (b && actor->items) b->items = mtf_actor_new(actor->items);
    if (!b || (actor->items && !b->items)) {
        free(b);
        return mtf_fail(err, MTF_NOMEM, "simulate: out of memory");
    }
    b->sim = sim, b->actor = actor;
    memset(out, 0, users * sizeof *out);
    for (uint64_t next = 0; next < count || b->under_way > 0;) {
        for (; next < count && b->under_way < SIDE_BY_SIDE; next++) {
            const uint32_t user = (uint32_t)(next / each), number = (uint32_t)(next % each);
            sim_visit *visit = &b->visits[b->under_way];
            sim_user_init(&visit->user, &sim->world, sim->config.seed, user);
            sim_visit_begin(visit, number,
                            sim_uniform(sim_key(visit->user.key, SIM_USER_HOUR), number));
            b->user[b->under_way++] = user;
        }
        if (stop && atomic_load(stop)) break;
        play_lists(b, out);
    }
    mtf_actor_free(b->items);
    free(b);
    for (uint32_t u = 0; u < users; u++) {
        out[u].valid /= (float)days, out[u].watch /= (float)days;
        out[u].value /= (float)each;
    }
    if (stop && atomic_load(stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
    return MTF_OK;
}
