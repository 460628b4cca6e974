#include "sim/visit.h"

#include "sim/draw.h"

/* Indices of draws within a request's stream; user.c has the state's. Children of the request's key
 * are candidates: CHILD_TRUTH + c, CHILD_DRAWS + c. */
enum { LIST_CANDIDATES = 0, LIST_LEAVE = 1000, LIST_BAIT = 1200, LIST_FEATURES = 1300 };
enum { CHILD_TRUTH = 512, CHILD_DRAWS = 640 };
enum { DRAW_SEEN = SIM_BEHAVIOURS }; /* of a candidate's draws, behind its behaviours' */
#define BEYOND_MAX (SIM_WATCH_MAX - 10.0f)

static void see_candidates(sim_list *list, const sim_world *world)
{
    for (uint32_t a = 0; a < SIM_ATTRIBUTES; a++)
        for (uint32_t c = 0; c < SIM_CANDIDATES; c++)
            list->seen[a][c] = sim_normal(list->key, LIST_CANDIDATES + a * SIM_CANDIDATES + c);
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
        const sim_behaviour *behaviour = &world->behaviours[b];
        const float base = behaviour->seen_base, slope = behaviour->seen_slope,
                    calibration = behaviour->calibration;
        for (uint32_t c = 0; c < SIM_CANDIDATES; c++) {
            const float p = calibration * sim_sigmoid(base + slope * list->seen[b][c]);
            list->predictions[b][c] = p < 1.0f ? p : 1.0f;
        }
    }
}

/* What each candidate is and how its features show it. */
static void see_items(sim_list *list, const sim_items *items)
{
    for (uint32_t c = 0; c < SIM_CANDIDATES; c++) {
        list->bait[c] = sim_uniform(list->key, LIST_BAIT + c) < items->bait_share;
        float *features = list->features[c];
        for (uint32_t f = 0; f < SIM_FEATURES; f++)
            features[f] = sim_normal(list->key, LIST_FEATURES + c * SIM_FEATURES + f);
        features[0] = (list->bait[c] ? 1.0f : -1.0f) + items->feature_noise * features[0];
    }
}

/* Formula 1 of arXiv:2404.17589 in logs, as client/explore.h mtf_table_fuse has it, for columns. */
static void fuse(sim_list *list, const mtf_action_table *table, const float *action)
{
    float power[SIM_BEHAVIOURS], bias[SIM_BEHAVIOURS];
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) power[b] = 1.0f, bias[b] = 0.0f;
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        const float value = dim->low + (action[d] + 1.0f) * 0.5f * (dim->high - dim->low);
        (dim->bias ? bias : power)[dim->prediction_index] = value;
    }
    for (uint32_t c = 0; c < SIM_CANDIDATES; c++) list->scores[c] = 0.0f;
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++)
        for (uint32_t c = 0; c < SIM_CANDIDATES; c++) {
            const float x = list->predictions[b][c] + bias[b];
            list->scores[c] += power[b] * sim_log(x > 1e-9f ? x : 1e-9f);
        }
}

static void take_best(sim_list *list)
{
    uint32_t held = 0;
    for (uint32_t c = 0; c < SIM_CANDIDATES; c++) {
        if (held == SIM_SHOWN && list->scores[c] <= list->scores[list->shown[SIM_SHOWN - 1]])
            continue;
        uint32_t at = held < SIM_SHOWN ? held++ : SIM_SHOWN - 1;
        for (; at > 0 && list->scores[c] > list->scores[list->shown[at - 1]]; at--)
            list->shown[at] = list->shown[at - 1];
        list->shown[at] = c;
    }
}

void sim_visit_candidates(const sim_visit *visit, const sim_world *world, sim_list *list)
{
    list->key = sim_key(visit->key, visit->step);
    see_candidates(list, world);
    memset(list->bait, 0, sizeof list->bait);
    if (world->items.bait_share > 0) see_items(list, &world->items);
}

void sim_list_take(sim_list *list, const float *scores)
{
    memcpy(list->scores, scores, sizeof list->scores);
    take_best(list);
}

void sim_visit_rank(const sim_visit *visit, const sim_world *world, const mtf_action_table *table,
                    const float *action, sim_list *list)
{
    sim_visit_candidates(visit, world, list);
    fuse(list, table, action);
    take_best(list);
}

/* How a bait shifts the logit of a behaviour. */
static float disappointment(const sim_items *items, uint32_t behaviour)
{
    return behaviour == SIM_NEGATIVE ? items->gall : -items->dull;
}

void sim_visit_rates(const sim_visit *visit, const sim_world *world, const sim_list *list,
                     uint32_t i, float *rates, float *attributes)
{
    const sim_type *type = &world->types[visit->user.type];
    const uint32_t c = list->shown[i];
    float x[SIM_ATTRIBUTES], taste = 0.0f;
    for (uint32_t a = 0; a < SIM_ATTRIBUTES; a++) {
        /* keyed by the candidate, so that two policies meet the same item */
        const float unseen = sim_normal(sim_key(list->key, CHILD_TRUTH + c), a);
        x[a] = world->behaviours[a].sight * list->seen[a][c] + world->blind[a] * unseen;
        taste += type->taste[a] * x[a];
    }
    for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) {
        const sim_behaviour *behaviour = &world->behaviours[b];
        float logit = behaviour->base + behaviour->own * x[b] + behaviour->by_taste * taste;
        if (list->bait[c]) logit += disappointment(&world->items, b);
        rates[b] = b == SIM_WATCH
                       ? sim_exp(logit)
                       : sim_sigmoid(logit + (b == SIM_NEGATIVE ? 0.0f : visit->user.activity));
    }
    rates[SIM_FINISH] *= rates[SIM_VALID];
    if (attributes != NULL) memcpy(attributes, x, sizeof x);
}

/* In a world without items everything shown is. */
static bool is_seen(const sim_items *items, const sim_list *list, uint32_t i, uint64_t key)
{
    if (!(items->bait_share > 0)) return true;
    float mean = 0.0f;
    for (uint32_t k = 0; k < SIM_SHOWN; k++) mean += list->scores[list->shown[k]] / SIM_SHOWN;
    const float above = (list->scores[list->shown[i]] - mean) / items->room;
    return sim_uniform(key, DRAW_SEEN) < sim_sigmoid(above);
}

void sim_visit_answer(sim_visit *visit, const sim_world *world, const sim_list *list,
                      sim_outcome *outcome)
{
    const sim_type *type = &world->types[visit->user.type];
    float worth = 0.0f;
    for (uint32_t i = 0; i < SIM_SHOWN; i++) {
        float rates[SIM_BEHAVIOURS], x[SIM_ATTRIBUTES];
        const uint64_t key = sim_key(list->key, CHILD_DRAWS + list->shown[i]);
        float *values = outcome->values[i];
        if (!is_seen(&world->items, list, i, key)) {
            memset(values, 0, sizeof outcome->values[i]);
            continue;
        }
        sim_visit_rates(visit, world, list, i, rates, x);
        for (uint32_t a = 0; a < SIM_ATTRIBUTES; a++) worth += type->worth[a] * x[a];
        if (list->bait[list->shown[i]]) worth -= world->items.harm;
        for (uint32_t b = 0; b < SIM_BEHAVIOURS; b++) values[b] = sim_uniform(key, b) < rates[b];
        values[SIM_FINISH] = sim_uniform(key, SIM_FINISH) * rates[SIM_VALID] < rates[SIM_FINISH] &&
                             values[SIM_VALID] > 0;
        const float u = sim_uniform(key, SIM_WATCH);
        const float beyond = 2.0f * u * rates[SIM_WATCH];
        values[SIM_WATCH] =
            values[SIM_VALID] > 0 ? 10.0f + (beyond < BEYOND_MAX ? beyond : BEYOND_MAX) : 10.0f * u;
    }
    visit->temper += world->temper_worth * worth / SIM_SHOWN - world->temper_wear -
                     world->temper_tiring * (float)visit->step;
    const float stay = sim_sigmoid(visit->temper / world->temper_scale);
    visit->step++;
    outcome->leaves = visit->step == SIM_STEPS_MAX || sim_uniform(list->key, LIST_LEAVE) >= stay;
}
