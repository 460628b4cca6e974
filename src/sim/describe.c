/* What can be reached: an evolution strategy with a diagonal covariance (sep-CMA-ES, Ros and Hansen
 * 2008) on common random numbers, from action 0; every winner is evaluated again on a fresh seed.
 */
#include "sim/sim_private.h"

#include <math.h>

#include "core/rng.h"

#define POPULATION 12
#define PARENTS    6
enum { DIMS = MTF_SIM_ACTIONS };

typedef struct sim_strategy {
    double mean[DIMS], variance[DIMS], path[DIMS], step_path[DIMS], sigma;
    double weight[PARENTS], effective; /* recombination weights; their effective number */
} sim_strategy;

/* One search: of all types at once with one action, or of one type. */
typedef struct sim_search {
    const mtf_sim *sim;
    const mtf_sim_search *how;
    int32_t only_type;
    uint32_t steps_max, sessions;
    mtf_rng rng;
} sim_search;

static void strategy_init(sim_strategy *s)
{
    double sum = 0, squares = 0;
    memset(s, 0, sizeof *s);
    s->sigma = 0.3;
    for (int d = 0; d < DIMS; d++) s->variance[d] = 1;
    for (int i = 0; i < PARENTS; i++) sum += s->weight[i] = log(PARENTS + 0.5) - log(i + 1.0);
    for (int i = 0; i < PARENTS; i++) s->weight[i] /= sum, squares += s->weight[i] * s->weight[i];
    s->effective = 1 / squares;
}

/* steps (POPULATION,DIMS): what was tried, in units of sigma, best first. */
static void strategy_update(sim_strategy *s, double steps[POPULATION][DIMS])
{
    const double n = DIMS, mu = s->effective;
    const double cs = (mu + 2) / (n + mu + 5), damping = 1 + cs,
                 cc = (4 + mu / n) / (n + 4 + 2 * mu / n);
    const double widen = (n + 2) / 3; /* a diagonal learns faster */
    const double c1 = widen * 2 / ((n + 1.3) * (n + 1.3) + mu);
    const double cmu = fmin(1 - c1, widen * 2 * (mu - 2 + 1 / mu) / ((n + 2) * (n + 2) + mu));
    double length = 0;
    for (int d = 0; d < DIMS; d++) {
        double move = 0, spread = 0;
        for (int i = 0; i < PARENTS; i++) {
            move += s->weight[i] * steps[i][d];
            spread += s->weight[i] * steps[i][d] * steps[i][d];
        }
        s->mean[d] += s->sigma * move;
        s->step_path[d] =
            (1 - cs) * s->step_path[d] + sqrt(cs * (2 - cs) * mu) * move / sqrt(s->variance[d]);
        s->path[d] = (1 - cc) * s->path[d] + sqrt(cc * (2 - cc) * mu) * move;
        s->variance[d] =
            (1 - c1 - cmu) * s->variance[d] + c1 * s->path[d] * s->path[d] + cmu * spread;
        length += s->step_path[d] * s->step_path[d];
    }
    const double expected = sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    s->sigma = fmin(0.5, s->sigma * exp(cs / damping * (sqrt(length) / expected - 1)));
}

static mtf_status try_out(const sim_search *search, const double *point, double *value,
                          mtf_err *err)
{
    sim_actor actor = {.only_type = search->only_type, .steps_max = search->steps_max};
    for (int k = 0; k < SIM_TYPES; k++)
        for (int d = 0; d < DIMS; d++) actor.actions[k][d] = (float)point[d];
    mtf_sim_value result;
    const mtf_status status = sim_evaluate(search->sim, &actor, search->sessions, search->how->seed,
                                           search->how->threads, NULL, &result, err);
    *value = status == MTF_OK ? result.mean : 0;
    return status;
}

/* One generation: POPULATION points, sorted by value. */
static mtf_status generation(sim_search *search, sim_strategy *s, mtf_err *err)
{
    double steps[POPULATION][DIMS], values[POPULATION];
    for (int i = 0; i < POPULATION; i++) {
        double point[DIMS], step[DIMS], value;
        for (int d = 0; d < DIMS; d++) {
            const double wish =
                s->mean[d] + s->sigma * sqrt(s->variance[d]) * mtf_rng_normal(&search->rng);
            point[d] = fmax(-1, fmin(1, wish));
            step[d] = (point[d] - s->mean[d]) / s->sigma;
        }
        const mtf_status status = try_out(search, point, &value, err);
        if (status != MTF_OK) return status;
        int at = i;
        for (; at > 0 && values[at - 1] < value; at--) {
            values[at] = values[at - 1];
            memcpy(steps[at], steps[at - 1], sizeof step);
        }
        values[at] = value;
        memcpy(steps[at], step, sizeof step);
    }
    strategy_update(s, steps);
    return MTF_OK;
}

typedef struct sim_progress {
    int64_t done, total; /* generations */
} sim_progress;

static mtf_status find_best(const mtf_sim *sim, const mtf_sim_search *how, int32_t only_type,
                            uint32_t steps_max, sim_progress *progress, float *action, mtf_err *err)
{
    sim_search search = {.sim = sim, .how = how, .only_type = only_type, .steps_max = steps_max};
    search.sessions =
        only_type < 0 ? 2 * how->sessions : how->sessions; /* a mixture of types is noisier */
    search.rng = mtf_rng_of(how->seed, (uint64_t)(only_type + 1) * 2 + (steps_max == 1));
    sim_strategy s;
    strategy_init(&s);
    for (uint32_t g = 0; g < how->generations; g++) {
        const mtf_status status = generation(&search, &s, err);
        if (status != MTF_OK) return status;
        progress->done++;
        if (how->progress != NULL)
            how->progress(how->progress_arg, progress->done, progress->total);
    }
    for (int d = 0; d < DIMS; d++) action[d] = (float)fmax(-1, fmin(1, s.mean[d]));
    return MTF_OK;
}

/* The best action per type for sessions of at most steps_max requests, valued over whole sessions.
 */
static mtf_status find_per_type(const mtf_sim *sim, const mtf_sim_search *how, uint32_t steps_max,
                                sim_progress *progress, mtf_sim_value *value, mtf_err *err)
{
    sim_actor actor = {.only_type = -1, .steps_max = SIM_STEPS_MAX};
    for (int32_t k = 0; k < SIM_TYPES; k++) {
        const mtf_status status =
            find_best(sim, how, k, steps_max, progress, actor.actions[k], err);
        if (status != MTF_OK) return status;
    }
    return sim_evaluate(sim, &actor, how->check_sessions, how->seed + 1, how->threads, NULL, value,
                        err);
}

mtf_sim_search mtf_sim_search_default(void)
{
    return (mtf_sim_search){.sessions = 5000,
                            .generations = 60,
                            .check_sessions = 400000,
                            .threads = 2,
                            .seed = 20240426};
}

mtf_status mtf_sim_describe(const mtf_sim *sim, const mtf_sim_search *how,
                            mtf_sim_reference *reference, mtf_err *err)
{
    const uint64_t fresh = how->seed + 1;
    float action[DIMS] = {0};
    sim_progress progress = {.total = (int64_t)how->generations * (1 + 2 * SIM_TYPES)};
    *reference = (mtf_sim_reference){.world = sim->hash};
    mtf_status status = mtf_sim_evaluate_action(sim, action, how->check_sessions, fresh,
                                                how->threads, NULL, &reference->initial, err);
    if (status == MTF_OK) status = find_best(sim, how, -1, SIM_STEPS_MAX, &progress, action, err);
    if (status == MTF_OK) {
        status = mtf_sim_evaluate_action(sim, action, how->check_sessions, fresh, how->threads,
                                         NULL, &reference->best_constant, err);
    }
    if (status == MTF_OK)
        status =
            find_per_type(sim, how, SIM_STEPS_MAX, &progress, &reference->best_personalised, err);
    if (status == MTF_OK)
        status = find_per_type(sim, how, 1, &progress, &reference->best_myopic, err);
    return status;
}
