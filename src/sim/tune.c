#include "sim/tune.h"

#include <math.h>
#include <stdio.h>

#include "core/rng.h"
#include "sim/sim_private.h"

#define USERS_STREAM 0x74756e65 /* the rng stream of the users' seeds */

mtf_sim_tune_config mtf_sim_tune_config_default(const char *method)
{
    return (mtf_sim_tune_config){
        .method = method, .sessions = 200000, .sessions_each = 500, .seed = 1, .threads = 2};
}

typedef struct tuning {
    const mtf_sim *sim;
    const mtf_sim_tune_config *config;
    mtf_sim_tuned *tuned;
} tuning;

/** Whole actions that the sessions pay for. */
static uint32_t points_of(const mtf_sim_tune_config *config)
{
    const int64_t points = config->sessions / config->sessions_each;
    return points < UINT32_MAX ? (uint32_t)points : UINT32_MAX;
}

static mtf_status open_search(const mtf_sim_tune_config *config, mtf_search **search, mtf_err *err)
{
    double low[MTF_SIM_ACTIONS], high[MTF_SIM_ACTIONS], start[MTF_SIM_ACTIONS];
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
        low[d] = -1, high[d] = 1;
        start[d] = config->start ? config->start[d] : 0;
    }
    const mtf_search_config wanted = {.dims = MTF_SIM_ACTIONS,
                                      .lower = low,
                                      .upper = high,
                                      .start = start,
                                      .budget = points_of(config),
                                      .seed = config->seed};
    return mtf_search_open(config->method, &wanted, search, err);
}

/** Serves the trial's action to users of its own, or of its batch. */
static mtf_status serve(void *arg, const mtf_search_trial *trial, double *value, double *variance,
                        mtf_err *err)
{
    const tuning *t = arg;
    const mtf_sim_tune_config *config = t->config;
    const uint64_t users =
        mtf_rng_bits(config->seed, USERS_STREAM, config->common ? trial->batch : trial->index);
    float action[MTF_SIM_ACTIONS];
    mtf_sim_value served;
    if (config->stop && atomic_load(config->stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) action[d] = (float)trial->point[d];
    const mtf_status status = mtf_sim_evaluate_action(t->sim, action, config->sessions_each, users,
                                                      config->threads, NULL, &served, err);
    if (status) return status;
    const double deviation = (served.high - served.low) / (2 * 1.96); /* of the mean */
    *value = served.mean;
    *variance = deviation * deviation;
    t->tuned->points++;
    t->tuned->sessions += config->sessions_each;
    t->tuned->mean += (served.mean - t->tuned->mean) / t->tuned->points;
    if (config->progress)
        config->progress(config->progress_arg, t->tuned->sessions, config->sessions);
    return MTF_OK;
}

static mtf_status make_policy(const mtf_sim *sim, const mtf_sim_tune_config *config,
                              const mtf_sim_tuned *tuned, mtf_policy **policy, mtf_err *err)
{
    *policy = mtf_policy_constant(MTF_SIM_STATE, &sim->table, tuned->action);
    if (!*policy) return mtf_fail(err, MTF_NOMEM, "simulate: no memory for a policy");
    mtf_policy_info *info = &(*policy)->info;
    snprintf(info->algorithm, sizeof info->algorithm, "%s", config->method);
    mtf_policy_set_number(info, "search.points", tuned->points);
    mtf_policy_set_number(info, "search.sessions", (double)tuned->sessions);
    mtf_policy_set_number(info, "search.reward", tuned->mean);
    return MTF_OK;
}

mtf_status mtf_sim_tune(const mtf_sim *sim, const mtf_sim_tune_config *config, mtf_sim_tuned *tuned,
                        mtf_policy **policy, mtf_err *err)
{
    mtf_search *search = NULL;
    double best[MTF_SIM_ACTIONS];
    tuning t = {sim, config, tuned};
    *tuned = (mtf_sim_tuned){0};
    if (config->sessions_each < 2 || config->sessions < config->sessions_each)
        return mtf_fail(
            err, MTF_INVALID,
            "search: %lld sessions at %u an action try none; an action needs 2 at least",
            (long long)config->sessions, config->sessions_each);
    mtf_status status = open_search(config, &search, err);
    if (status) return status;
    if (mtf_search_batch(search) > points_of(config))
        status = mtf_fail(err, MTF_INVALID,
                          "search: %s begins with %u actions; %lld sessions at %u an action are "
                          "too few",
                          config->method, mtf_search_batch(search), (long long)config->sessions,
                          config->sessions_each);
    if (status == MTF_OK) status = mtf_search_run(search, points_of(config), serve, &t, err);
    if (status == MTF_OK) status = mtf_search_best(search, best, err);
    if (status == MTF_OK) {
        for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) tuned->action[d] = (float)best[d];
        if (policy) status = make_policy(sim, config, tuned, policy, err);
    }
    mtf_search_close(search);
    return status;
}
