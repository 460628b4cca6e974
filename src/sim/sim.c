#include "sim/sim_private.h"

#include <stdlib.h>

#include "core/hash.h"
#include "sim/draw.h"

static const char *const behaviour_names[SIM_BEHAVIOURS] = {"valid", "watch", "finish", "positive",
                                                            "negative"};

_Static_assert(MTF_SIM_STATE == SIM_STATE && MTF_SIM_BEHAVIOURS == SIM_BEHAVIOURS &&
                   MTF_SIM_SHOWN == SIM_SHOWN,
               "the public sizes are the world's");

const char *sim_behaviour_name(uint32_t behaviour)
{
    return behaviour_names[behaviour];
}

mtf_sim_config mtf_sim_config_default(void)
{
    return (mtf_sim_config){
        .seed = 1,
        .sessions = 90000,
        .users = 30000,
        .explore = MTF_SIM_EXPLORE_BOX,
        .box = -1,
        .sigma = 0.2,
        .start_ms = 1700000000000,
        .span_ms = 86400000,
        .separation_ms = 1800000 + 60000 + 60000,
        .max_duration_ms = 21600000,
        .actions =
            "valid.pow=0..2 watch.pow=0..2 finish.pow=0..2 positive.pow=0..2 negative.pow=-2..0 "
            "valid.bias=0.01..0.51 watch.bias=0.01..0.51 finish.bias=0.01..0.51 "
            "positive.bias=0.01..0.51 "
            "negative.bias=0.01..0.51",
        .reward_weights = "valid=1 watch=0.02 finish=0.5 positive=2 negative=-2",
        .reward_clip = "watch=300",
    };
}

int64_t sim_pause_ms(const sim_outcome *outcome)
{
    float seconds = 5.0f;
    for (uint32_t i = 0; i < SIM_SHOWN; i++) seconds += outcome->values[i][SIM_WATCH];
    return (int64_t)(seconds * 1000.0f);
}

/* The longest time between two lists of a visit. */
#define PAUSE_MS_MAX ((int64_t)((5.0f + SIM_SHOWN * SIM_WATCH_MAX) * 1000.0f))

int64_t sim_visit_ms_max(void)
{
    return SIM_STEPS_MAX * PAUSE_MS_MAX;
}

double sim_reward(const mtf_sim *sim, const sim_outcome *outcome)
{
    double reward = 0;
    for (uint32_t i = 0; i < SIM_SHOWN; i++)
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
            const double value = outcome->values[i][b], clip = sim->reward_clip[b];
            reward += sim->reward_weight[b] * (clip > 0 && value > clip ? clip : value);
        }
    return reward;
}

/* "name=number ..." into values by behaviour; others are left alone. */
static mtf_status parse_numbers(const char *text, const char *what, double *values, mtf_err *err)
{
    for (const char *at = text + strspn(text, " "); *at != '\0'; at += strspn(at, " ")) {
        const size_t size = strcspn(at, " ");
        uint32_t b = 0;
        while (b < SIM_BEHAVIOURS &&
               (strncmp(at, behaviour_names[b], strlen(behaviour_names[b])) != 0 ||
                at[strlen(behaviour_names[b])] != '='))
            b++;
        if (b == SIM_BEHAVIOURS) {
            return mtf_fail(err, MTF_INVALID,
                            "%s: the simulator has no behaviour '%.*s' (valid, watch, finish, "
                            "positive, negative)",
                            what, (int)size, at);
        }
        char *end;
        values[b] = strtod(at + strlen(behaviour_names[b]) + 1, &end);
        if (end != at + size || end == at + strlen(behaviour_names[b]) + 1)
            return mtf_fail(err, MTF_INVALID, "%s: '%.*s' is not name=number", what, (int)size, at);
        at += size;
    }
    return MTF_OK;
}

static mtf_status read_table(mtf_sim *sim, const char *actions, mtf_err *err)
{
    const mtf_status status = mtf_action_table_parse(&sim->table, actions, err);
    if (status != MTF_OK) return status;
    if (sim->table.count != MTF_SIM_ACTIONS || sim->table.prediction_count != SIM_BEHAVIOURS)
        return mtf_fail(
            err, MTF_INVALID,
            "policy.actions: the simulator wants 10 dimensions of 5 predictions, not %u of %u",
            sim->table.count, sim->table.prediction_count);
    for (uint32_t d = 0; d < sim->table.count; d++) {
        const mtf_action_dim *dim = &sim->table.dims[d];
        if (strcmp(dim->prediction, behaviour_names[dim->prediction_index]) != 0)
            return mtf_fail(
                err, MTF_INVALID,
                "policy.actions: prediction %u is '%s'; the simulator predicts %s in that place",
                dim->prediction_index, dim->prediction, behaviour_names[dim->prediction_index]);
    }
    return MTF_OK;
}

/* Every user has one slot per session of a round; its end stays free, so that the next session, be
 * it the next round's first, is separate from it. */
static mtf_status lay_slots(mtf_sim *sim, mtf_err *err)
{
    const mtf_sim_config *config = &sim->config;
    if (config->sessions == 0 || config->users == 0)
        return mtf_fail(err, MTF_INVALID, "simulate: sessions and users must be at least 1");
    if (config->separation_ms <= PAUSE_MS_MAX)
        return mtf_fail(err, MTF_INVALID,
                        "simulate: sessions need a gap above %lld ms, the longest pause within one",
                        (long long)PAUSE_MS_MAX);
    if (config->max_duration_ms <= 0 || config->span_ms <= 0 || config->start_ms < 0)
        return mtf_fail(err, MTF_INVALID, "simulate: start, span and cap must be positive times");
    sim->slots = (uint32_t)(((uint64_t)config->sessions + config->users - 1) / config->users);
    sim->slot_ms = config->span_ms / sim->slots;
    if (sim->slot_ms <= sim_visit_ms_max() + config->separation_ms)
        return mtf_fail(err, MTF_INVALID,
                        "simulate: %u sessions a user do not fit into %lld ms; take more users or "
                        "a longer span",
                        sim->slots, (long long)config->span_ms);
    return MTF_OK;
}

static bool share_is_valid(double share)
{
    return share >= 0 && share <= 1;
}

mtf_status mtf_sim_open(const mtf_sim_config *config, mtf_sim **out, mtf_err *err)
{
    *out = NULL;
    mtf_sim *sim = calloc(1, sizeof *sim);
    if (sim == NULL) return mtf_fail(err, MTF_NOMEM, "simulate: out of memory");
    sim->config = *config;
    sim_world_init(&sim->world);
    if (config->items) sim_world_add_items(&sim->world);
    mtf_status status = read_table(sim, config->actions, err);
    if (status == MTF_OK)
        status = parse_numbers(config->reward_weights, "reward.weights", sim->reward_weight, err);
    if (status == MTF_OK)
        status = parse_numbers(config->reward_clip, "reward.clip", sim->reward_clip, err);
    if (status == MTF_OK) status = lay_slots(sim, err);
    if (status == MTF_OK &&
        (!share_is_valid(config->baseline_share) || !(config->box <= 1) || !(config->sigma >= 0)))
        status =
            mtf_fail(err, MTF_INVALID,
                     "simulate: baseline share in [0,1], box up to 1 and sigma from 0 are wanted");
    if (status != MTF_OK) {
        mtf_sim_close(sim);
        return status;
    }
    sim->config.actions = sim->config.reward_weights = sim->config.reward_clip =
        NULL; /* were borrowed */
    sim->hash = sim_hash(sim);
    *out = sim;
    return MTF_OK;
}

void mtf_sim_close(mtf_sim *sim)
{
    free(sim);
}

uint64_t mtf_sim_world_hash(const mtf_sim *sim)
{
    return sim->hash;
}

/* The numbers, and what a few visits come to: so a change of the code counts as well. */
uint64_t sim_hash(const mtf_sim *sim)
{
    static const float action[MTF_SIM_ACTIONS] = {0};
    struct {
        uint64_t world, state, outcome;
        double weight[SIM_BEHAVIOURS], clip[SIM_BEHAVIOURS];
        float low[MTF_SIM_ACTIONS], high[MTF_SIM_ACTIONS];
        uint32_t place[MTF_SIM_ACTIONS];
    } seen;
    memset(&seen, 0, sizeof seen);
    seen.world = mtf_hash64(&sim->world, offsetof(sim_world, items));
    if (sim->config.items)
        seen.world = sim_key(seen.world, mtf_hash64(&sim->world.items, sizeof sim->world.items));
    memcpy(seen.weight, sim->reward_weight, sizeof seen.weight);
    memcpy(seen.clip, sim->reward_clip, sizeof seen.clip);
    for (uint32_t d = 0; d < sim->table.count; d++) {
        const mtf_action_dim *dim = &sim->table.dims[d];
        seen.low[d] = dim->low, seen.high[d] = dim->high;
        seen.place[d] = dim->prediction_index * 2 + dim->bias;
    }
    for (uint32_t number = 0; number < 64; number++) {
        sim_visit visit;
        sim_list list;
        sim_outcome outcome = {.leaves = false};
        float state[SIM_STATE];
        sim_user_init(&visit.user, &sim->world, 1, number);
        sim_visit_begin(&visit, 0, (float)number / 64.0f);
        while (!outcome.leaves) {
            sim_visit_state(&visit, &sim->world, state);
            sim_visit_rank(&visit, &sim->world, &sim->table, action, &list);
            sim_visit_answer(&visit, &sim->world, &list, &outcome);
            sim_visit_note(&visit, &outcome);
            seen.state = sim_key(seen.state, mtf_hash64(state, sizeof state));
            seen.outcome = sim_key(seen.outcome, mtf_hash64(outcome.values, sizeof outcome.values));
        }
    }
    return mtf_hash64(&seen, sizeof seen);
}
