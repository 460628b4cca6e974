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

static mtf_status open_search(const mtf_sim_tune_config *config, mtf_search **search, mtf_err *err)
{
    double low[MTF_SIM_ACTIONS], high[MTF_SIM_ACTIONS], start[MTF_SIM_ACTIONS];
    for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) {
        low[d] = -1, high[d] = 1;
        start[d] = config->start ? config->start[d] : 0;
    }
    const int64_t points = config->sessions / config->sessions_each;
    const mtf_search_config wanted = {.dims = MTF_SIM_ACTIONS,
                                      .lower = low,
                                      .upper = high,
                                      .start = start,
                                      .budget = points < UINT32_MAX ? (uint32_t)points : UINT32_MAX,
                                      .seed = config->seed};
    return mtf_search_open(config->method, &wanted, search, err);
}

/** The users an action meets: its own, or those of its batch. */
static uint64_t users_of(const mtf_sim_tune_config *config, uint32_t first, uint32_t i)
{
    return mtf_rng_bits(config->seed, USERS_STREAM, config->common ? first : first + i);
}

static mtf_status try_batch(const mtf_sim *sim, const mtf_sim_tune_config *config,
                            mtf_search *search, mtf_sim_tuned *tuned, mtf_err *err)
{
    const double *points;
    double values[MTF_SEARCH_BATCH_MAX], variances[MTF_SEARCH_BATCH_MAX];
    uint32_t count;
    mtf_status status = mtf_search_ask(search, &points, &count, err);
    for (uint32_t i = 0; status == MTF_OK && i < count; i++) {
        float action[MTF_SIM_ACTIONS];
        mtf_sim_value value;
        for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++)
            action[d] = (float)points[i * MTF_SIM_ACTIONS + d];
        if (config->stop && atomic_load(config->stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
        status = mtf_sim_evaluate_action(sim, action, config->sessions_each,
                                         users_of(config, mtf_search_told(search), i),
                                         config->threads, NULL, &value, err);
        if (status) break;
        const double deviation = (value.high - value.low) / (2 * 1.96); /* of the mean */
        values[i] = value.mean;
        variances[i] = deviation * deviation;
        tuned->points++;
        tuned->sessions += config->sessions_each;
        tuned->mean += (value.mean - tuned->mean) / tuned->points;
        if (config->progress)
            config->progress(config->progress_arg, tuned->sessions, config->sessions);
    }
    return status ? status : mtf_search_tell(search, values, variances, err);
}

/** Can the next batch be paid? */
static bool goes_on(const mtf_sim_tune_config *config, const mtf_search *search,
                    const mtf_sim_tuned *tuned)
{
    const int64_t batch = mtf_search_batch(search);
    return batch > 0 && tuned->sessions + batch * config->sessions_each <= config->sessions;
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
    *tuned = (mtf_sim_tuned){0};
    if (config->sessions_each < 2 || config->sessions < config->sessions_each)
        return mtf_fail(
            err, MTF_INVALID,
            "search: %lld sessions at %u an action try none; an action needs 2 at least",
            (long long)config->sessions, config->sessions_each);
    mtf_status status = open_search(config, &search, err);
    if (status) return status;
    if (!goes_on(config, search, tuned))
        status = mtf_fail(err, MTF_INVALID,
                          "search: %s begins with %u actions; %lld sessions at %u an action are "
                          "too few",
                          config->method, mtf_search_batch(search), (long long)config->sessions,
                          config->sessions_each);
    while (status == MTF_OK && goes_on(config, search, tuned))
        status = try_batch(sim, config, search, tuned, err);
    if (status == MTF_OK) status = mtf_search_best(search, best, err);
    if (status == MTF_OK) {
        for (uint32_t d = 0; d < MTF_SIM_ACTIONS; d++) tuned->action[d] = (float)best[d];
        if (policy) status = make_policy(sim, config, tuned, policy, err);
    }
    mtf_search_close(search);
    return status;
}
