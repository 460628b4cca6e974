#include "learner/known_truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/explore.h"
#include "core/rng.h"
#include "sim/draw.h"
#include "sim/sim_private.h"

#define VISITS         3
#define EXPLORE_SEED   77
#define WEIGHT_STREAM  0x706f6c
#define PROBE_SESSIONS 4000
#define PROBE_STEP     0.3f /* of the action, to see which way pays */

/* -- the world --------------------------------------------------- */

/** Which way of dimension d pays a whole session more: 1 or -1. */
static mtf_status better_way(const mtf_sim *sim, uint32_t d, float *way, mtf_err *err)
{
    float up[MTF_SIM_ACTIONS] = {0}, down[MTF_SIM_ACTIONS] = {0};
    mtf_sim_value of_up, of_down;
    up[d] = PROBE_STEP, down[d] = -PROBE_STEP;
    mtf_status status = mtf_sim_evaluate_action(sim, up, PROBE_SESSIONS, 1, 1, NULL, &of_up, err);
    if (status == MTF_OK)
        status = mtf_sim_evaluate_action(sim, down, PROBE_SESSIONS, 1, 1, NULL, &of_down, err);
    if (status == MTF_OK) *way = of_up.mean > of_down.mean ? 1 : -1;
    return status;
}

/** mu_d = tanh(way * move + small weights . state): the same way for all, more or less of it. */
static mtf_status make_evaluated(known_world *world, double move, mtf_err *err)
{
    mtf_policy_layer *layer = &world->evaluated->layers[0];
    mtf_rng rng = mtf_rng_of(WEIGHT_STREAM, 0);
    for (uint32_t d = 0; d < world->explored; d++) {
        float way;
        const mtf_status status = better_way(world->sim, d, &way, err);
        if (status) return status;
        layer->bias[d] = way * (float)move;
        for (uint32_t k = 0; k < MTF_SIM_STATE; k++)
            layer->weight[d * MTF_SIM_STATE + k] = (float)(0.03 * move * mtf_rng_normal(&rng));
    }
    return MTF_OK;
}

mtf_status known_world_open(known_world *world, uint32_t explored, double move, double half_width,
                            mtf_err *err)
{
    const uint32_t widths[] = {MTF_SIM_STATE, MTF_SIM_ACTIONS};
    const mtf_sim_config config = mtf_sim_config_default();
    *world =
        (known_world){.explored = explored, .box = 0.15f, .half_width = half_width, .gamma = 0.9};
    mtf_status status = mtf_sim_open(&config, &world->sim, err);
    if (status == MTF_OK) status = mtf_action_table_parse(&world->table, config.actions, err);
    if (status) goto done;
    world->logging = mtf_policy_new(widths, 1, &world->table);
    world->evaluated = mtf_policy_new(widths, 1, &world->table);
    status = world->logging && world->evaluated
                 ? make_evaluated(world, move, err)
                 : mtf_fail(err, MTF_NOMEM, "known truth: out of memory");
done:
    if (status) known_world_close(world);
    return status;
}

void known_world_close(known_world *world)
{
    if (world->sim) mtf_sim_close(world->sim);
    mtf_policy_free(world->logging);
    mtf_policy_free(world->evaluated);
    *world = (known_world){0};
}

/* -- a visit, and requests of it --------------------------------- */

typedef struct request {
    float state[MTF_SIM_STATE];
    float bp[MTF_SIM_ACTIONS], lower[MTF_SIM_ACTIONS], upper[MTF_SIM_ACTIONS],
        action[MTF_SIM_ACTIONS];
    sim_list list;
    sim_outcome outcome;
} request;

static void begin_visit(const known_world *world, uint64_t seed, uint32_t user, uint32_t number,
                        sim_visit *visit)
{
    sim_user_init(&visit->user, &world->sim->world, seed, user);
    sim_visit_begin(visit, number, sim_uniform(sim_key(visit->user.key, SIM_USER_HOUR), number));
}

/** One request under `action`, which may be in `at`; true: it was not the last. */
static bool answer(const known_world *world, sim_visit *visit, const float *action, request *at)
{
    const sim_world *hidden = &world->sim->world;
    sim_visit_rank(visit, hidden, &world->sim->table, action, &at->list);
    sim_visit_answer(visit, hidden, &at->list, &at->outcome);
    sim_visit_note(visit, &at->outcome);
    return !at->outcome.leaves;
}

/** What the logging policy would do: baseline, box and explored action. */
static void explore(const known_world *world, const sim_visit *visit, request *at)
{
    char id[48];
    snprintf(id, sizeof id, "%016llx.%u", (unsigned long long)visit->key, visit->step);
    sim_visit_state(visit, &world->sim->world, at->state);
    mtf_policy_act(world->logging, at->state, at->bp);
    mtf_box_clip(MTF_SIM_ACTIONS, at->bp, world->box, at->lower, at->upper);
    for (uint32_t d = world->explored; d < MTF_SIM_ACTIONS; d++) at->lower[d] = at->upper[d] = 0;
    mtf_explore_box(EXPLORE_SEED, mtf_str_of(id), MTF_SIM_ACTIONS, at->bp, at->lower, at->upper,
                    at->action);
}

static bool serve(const known_world *world, sim_visit *visit, request *at)
{
    explore(world, visit, at);
    return answer(world, visit, at->action, at);
}

/* -- a cohort ---------------------------------------------------- */

static void put_row(const known_world *world, const request *at, size_t i, mtf_cohort *cohort)
{
    const size_t A = MTF_SIM_ACTIONS, bytes = A * sizeof(float);
    const mtf_sim *sim = world->sim;
    memcpy(cohort->s + i * MTF_SIM_STATE, at->state, sizeof at->state);
    memcpy(cohort->a + i * A, at->action, bytes);
    memcpy(cohort->bp + i * A, at->bp, bytes);
    memcpy(cohort->lower + i * A, at->lower, bytes);
    memcpy(cohort->upper + i * A, at->upper, bytes);
    mtf_policy_act(world->evaluated, at->state, cohort->mu + i * A);
    cohort->weight[i] = 1;
    cohort->r[i] = sim_reward(sim, &at->outcome);
    cohort->logged[i] = cohort->eligible[i] = true;
    cohort->item_first[i + 1] = cohort->item_first[i] + MTF_SIM_SHOWN;
    for (uint32_t k = 0; k < MTF_SIM_SHOWN; k++) {
        const size_t item = cohort->item_first[i] + k;
        double reward = 0;
        for (uint32_t b = 0; b < MTF_SIM_BEHAVIOURS; b++) {
            cohort->predictions[item * MTF_SIM_BEHAVIOURS + b] =
                at->list.predictions[b][at->list.shown[k]];
            reward += sim->reward_weight[b] * (double)at->outcome.values[k][b]; /* below any clip */
        }
        cohort->item_reward[item] = (float)reward;
        cohort->item_label[item] = at->outcome.values[k][SIM_VALID] > 0;
    }
}

/** Plays all visits; cohort NULL: only counts the requests. */
static size_t play(const known_world *world, uint64_t seed, uint32_t users, mtf_cohort *cohort)
{
    size_t rows = 0;
    request at;
    sim_visit visit;
    for (uint32_t session = 0; session < users * VISITS; session++) {
        begin_visit(world, seed, session / VISITS, session % VISITS, &visit);
        for (bool first = true, more = true; more; first = false, rows++) {
            more = serve(world, &visit, &at);
            if (!cohort) continue;
            put_row(world, &at, rows, cohort);
            cohort->user[rows] = session / VISITS;
            cohort->session[rows] = session;
            cohort->first[rows] = first, cohort->next[rows] = more, cohort->done[rows] = !more;
        }
    }
    return rows;
}

static void normalise(mtf_cohort *cohort)
{
    const size_t S = cohort->state_dim;
    for (size_t k = 0; k < S; k++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < cohort->rows; i++) sum += (double)cohort->s[i * S + k];
        const double mean = sum / (double)cohort->rows;
        for (size_t i = 0; i < cohort->rows; i++) {
            const double off = (double)cohort->s[i * S + k] - mean;
            square += off * off;
        }
        const double deviation = sqrt(square / (double)cohort->rows);
        for (size_t i = 0; i < cohort->rows; i++) {
            float *x = &cohort->s[i * S + k];
            *x = (float)(((double)*x - mean) / (deviation > 1e-4 ? deviation : 1));
        }
    }
}

mtf_status known_cohort(const known_world *world, uint64_t seed, uint32_t users, mtf_cohort *cohort,
                        mtf_err *err)
{
    const mtf_row_shape shape = {
        MTF_SIM_STATE, MTF_SIM_ACTIONS, MTF_SIM_BEHAVIOURS, MTF_SIM_BEHAVIOURS, 0, 0};
    const size_t rows = play(world, seed, users, NULL);
    const mtf_status status = mtf_cohort_init(cohort, &shape, rows, rows * MTF_SIM_SHOWN, err);
    if (status) return status;
    cohort->users = users;
    cohort->sessions = users * VISITS;
    play(world, seed, users, cohort);
    for (size_t i = rows; i-- > 0;)
        cohort->g[i] = cohort->r[i] + (cohort->next[i] ? world->gamma * cohort->g[i + 1] : 0);
    normalise(cohort);
    return MTF_OK;
}

/* -- the truth --------------------------------------------------- */

/** A user's sums, and over users: of values of requests and of sessions, and their counts. */
enum { REWARD, SMOOTHED, FIRST_ORDER, REQUESTS, SERVED, VALUE, SESSIONS, SUMS };

/** Discounted return of the rest of a visit that explores, from `discount` on. */
static double rest_of(const known_world *world, sim_visit visit, double discount, bool more)
{
    request at;
    double sum = 0;
    for (; more; discount *= world->gamma) {
        more = serve(world, &visit, &at);
        sum += discount * sim_reward(world->sim, &at.outcome);
    }
    return sum;
}

/** Return of taking `action` now and exploring from then on. */
static double return_of(const known_world *world, sim_visit visit, const float *action)
{
    request at;
    const bool more = answer(world, &visit, action, &at);
    return sim_reward(world->sim, &at.outcome) + rest_of(world, visit, world->gamma, more);
}

/** The same mean over what a draw of the smoothed policy brings at once. */
static double reward_smoothed(const known_world *world, sim_visit visit, const request *logged,
                              const float *mu, mtf_rng *rng)
{
    request at;
    float action[MTF_SIM_ACTIONS];
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
        const double low = fmax((double)mu[d] - world->half_width, -1);
        const double high = fmin((double)mu[d] + world->half_width, 1);
        const double u = mtf_rng_uniform(rng);
        action[d] = d < world->explored ? (float)(low + u * (high - low)) : logged->action[d];
    }
    answer(world, &visit, action, &at);
    return sim_reward(world->sim, &at.outcome);
}

static void logged_visit(const known_world *world, sim_visit visit, mtf_rng *rng, double *sums)
{
    request at;
    float mu[MTF_SIM_ACTIONS];
    double discount = 1;
    for (bool more = true; more; discount *= world->gamma) {
        const sim_visit before = visit;
        more = serve(world, &visit, &at);
        mtf_policy_act(world->evaluated, at.state, mu);
        const double reward = sim_reward(world->sim, &at.outcome);
        sums[REWARD] += reward;
        sums[SERVED] += discount * reward;
        sums[SMOOTHED] += reward_smoothed(world, before, &at, mu, rng);
        sums[FIRST_ORDER] += return_of(world, before, mu) - return_of(world, before, at.bp);
        sums[REQUESTS]++;
    }
}

static double evaluated_visit(const known_world *world, sim_visit visit)
{
    request at;
    float mu[MTF_SIM_ACTIONS];
    double sum = 0, discount = 1;
    for (bool more = true; more; discount *= world->gamma) {
        sim_visit_state(&visit, &world->sim->world, at.state);
        mtf_policy_act(world->evaluated, at.state, mu);
        more = answer(world, &visit, mu, &at);
        sum += discount * sim_reward(world->sim, &at.outcome);
    }
    return sum;
}

/** sum of `of` less that of `less` (SUMS: of nothing) over sum of `by`, with its error by user. */
static known_value ratio(double (*users)[SUMS], uint32_t count, int of, int less, int by)
{
    double sum = 0, weights = 0, square = 0;
    for (uint32_t u = 0; u < count; u++) {
        sum += users[u][of] - (less < SUMS ? users[u][less] : 0);
        weights += users[u][by];
    }
    const double value = sum / weights;
    for (uint32_t u = 0; u < count; u++) {
        const double own = users[u][of] - (less < SUMS ? users[u][less] : 0);
        square += (own - value * users[u][by]) * (own - value * users[u][by]);
    }
    return (known_value){value, sqrt(square) / weights};
}

mtf_status known_truth_make(const known_world *world, uint64_t seed, uint32_t users,
                            known_truth *truth, mtf_err *err)
{
    double(*sums)[SUMS] = calloc(users, sizeof *sums);
    if (!sums) return mtf_fail(err, MTF_NOMEM, "known truth: out of memory");
    for (uint32_t session = 0; session < users * VISITS; session++) {
        const uint32_t user = session / VISITS;
        mtf_rng rng = mtf_rng_of(seed, session);
        sim_visit visit;
        begin_visit(world, seed, user, session % VISITS, &visit);
        logged_visit(world, visit, &rng, sums[user]);
        sums[user][VALUE] += evaluated_visit(world, visit);
        sums[user][SESSIONS]++;
    }
    *truth = (known_truth){
        .reward = ratio(sums, users, REWARD, SUMS, REQUESTS),
        .smoothed = ratio(sums, users, SMOOTHED, SUMS, REQUESTS),
        .gain = ratio(sums, users, SMOOTHED, REWARD, REQUESTS),
        .first_order = ratio(sums, users, FIRST_ORDER, SUMS, REQUESTS),
        .served = ratio(sums, users, SERVED, SUMS, SESSIONS),
        .value = ratio(sums, users, VALUE, SUMS, SESSIONS),
        .value_gain = ratio(sums, users, VALUE, SERVED, SESSIONS),
    };
    free(sums);
    return MTF_OK;
}

bool known_truth_find(const known_truth *truth, const char *metric, known_value *value)
{
    const struct {
        const char *name;
        const known_value *value;
    } rows[] = {
        {"logged.reward", &truth->reward},
        {"logged.return", &truth->served},
        {"first_order.gain", &truth->first_order},
        {"ncis.value", &truth->smoothed},
        {"ncis.gain", &truth->gain},
        {"doubly_robust.value", &truth->smoothed},
        {"doubly_robust.gain", &truth->gain},
        {"fqe.value", &truth->value},
        {"fqe.gain", &truth->value_gain},
        {"conservative.value", &truth->value},
        {"conservative.gain", &truth->value_gain},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, metric) != 0) continue;
        *value = *rows[i].value;
        return true;
    }
    return false;
}
