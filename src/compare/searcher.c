#include "compare/searcher.h"

#include <stdlib.h>

#include "client/explore.h"
#include "learner/cohort.h"
#include "learner/fqe.h"
#include "search/search.h"

#define ROWS_MAX   500000 /* that the network is fitted to: of some users, where there are more */
#define STATES_MAX 2000   /* that an action is asked of */
#define RATE       5e-4   /* of the fit: fewer steps than the estimators take, but larger */

typedef struct asking {
    mtf_cohort cohort; /* of all users: states normalised, mu the baseline's action */
    mtf_fqe *fqe;
    float *s, *a, *q;
    size_t count;
} asking;

static mtf_status load(asking *ask, const mtf_settings *settings, const mtf_scratch *logs,
                       mtf_err *err)
{
    size_t cut_count;
    const mtf_store_position *cut = mtf_store_positions(logs->store, &cut_count);
    mtf_selection selection = {.version = 1, .cut = cut, .cut_count = cut_count};
    mtf_normaliser normaliser;
    mtf_survey survey;
    if (!mtf_selection_days(&selection, logs->store))
        return mtf_fail(err, MTF_SKIP, "nothing was explored to search in");
    mtf_status status = mtf_normaliser_init(&normaliser, logs->shape.state_dim, err);
    if (status) return status;
    status = mtf_survey_make(logs->store, &selection, &logs->reward, &survey, &normaliser, err);
    const mtf_cohort_config config = {.selection = &selection,
                                      .reward = &logs->reward,
                                      .normaliser = &normaliser,
                                      .gamma = settings->learner_gamma,
                                      .rows_max = ROWS_MAX,
                                      .rows = logs->rows};
    if (status == MTF_OK) status = mtf_cohort_load(logs->store, &config, &ask->cohort, err);
    if (status == MTF_OK)
        memcpy(ask->cohort.mu, ask->cohort.bp, ask->cohort.rows * MTF_SIM_ACTIONS * sizeof(float));
    mtf_normaliser_fini(&normaliser);
    return status;
}

static mtf_status fit(asking *ask, const mtf_settings *settings, uint64_t seed,
                      const atomic_bool *stop, mtf_err *err)
{
    mtf_fqe_config config = mtf_fqe_config_default();
    config.steps = (uint64_t)settings->compare_fit_steps;
    config.gamma = settings->learner_gamma;
    config.rate = RATE;
    config.seed = seed;
    config.stop = stop;
    const mtf_status status =
        mtf_fqe_new(&config, ask->cohort.state_dim, ask->cohort.action_dim, &ask->fqe, err);
    return status ? status : mtf_fqe_fit(ask->fqe, &ask->cohort, NULL, err);
}

static mtf_status pick_states(asking *ask, mtf_err *err)
{
    const mtf_cohort *cohort = &ask->cohort;
    const size_t S = cohort->state_dim, stride = (cohort->rows + STATES_MAX - 1) / STATES_MAX;
    ask->count = (cohort->rows + stride - 1) / stride;
    ask->s = malloc(ask->count * (S + MTF_SIM_ACTIONS + 1) * sizeof(float));
    if (!ask->s) return mtf_fail(err, MTF_NOMEM, "no memory to search logs");
    ask->a = ask->s + ask->count * S;
    ask->q = ask->a + ask->count * MTF_SIM_ACTIONS;
    for (size_t i = 0; i < ask->count; i++)
        memcpy(ask->s + i * S, cohort->s + i * stride * S, S * sizeof(float));
    return MTF_OK;
}

static mtf_status worth(void *arg, const mtf_search_trial *trial, double *value, double *variance,
                        mtf_err *err)
{
    const asking *ask = arg;
    (void)err;
    for (size_t i = 0; i < ask->count; i++)
        for (size_t d = 0; d < MTF_SIM_ACTIONS; d++)
            ask->a[i * MTF_SIM_ACTIONS + d] = (float)trial->point[d];
    mtf_fqe_value(ask->fqe, ask->count, ask->s, ask->a, ask->q);
    *value = 0, *variance = 0;
    for (size_t i = 0; i < ask->count; i++) *value += (double)ask->q[i] / (double)ask->count;
    return MTF_OK;
}

static mtf_status search(asking *ask, const mtf_settings *settings, const char *method,
                         const float *start, uint64_t seed, float action[MTF_SIM_ACTIONS],
                         mtf_err *err)
{
    double low[MTF_SIM_ACTIONS], high[MTF_SIM_ACTIONS], best[MTF_SIM_ACTIONS];
    float lower[MTF_SIM_ACTIONS], upper[MTF_SIM_ACTIONS];
    mtf_search *found = NULL;
    mtf_box_clip(MTF_SIM_ACTIONS, start, (float)settings->policy_box, lower, upper);
    for (int d = 0; d < MTF_SIM_ACTIONS; d++) {
        low[d] = (double)start[d] + (double)lower[d];
        high[d] = (double)start[d] + (double)upper[d];
    }
    const mtf_search_config config = {.dims = MTF_SIM_ACTIONS,
                                      .lower = low,
                                      .upper = high,
                                      .budget = (uint32_t)settings->compare_points,
                                      .seed = seed};
    mtf_status status = mtf_search_open(method, &config, &found, err);
    if (status == MTF_OK)
        status = mtf_search_run(found, (uint32_t)settings->compare_points, worth, ask, err);
    if (status == MTF_OK) status = mtf_search_best(found, best, err);
    for (int d = 0; d < MTF_SIM_ACTIONS && status == MTF_OK; d++) action[d] = (float)best[d];
    mtf_search_close(found);
    return status;
}

mtf_status mtf_compare_search_logs(const mtf_settings *settings, const mtf_scratch *logs,
                                   const char *method, const float *start, uint64_t seed,
                                   const atomic_bool *stop, float action[MTF_SIM_ACTIONS],
                                   mtf_err *err)
{
    asking ask = {0};
    mtf_status status = load(&ask, settings, logs, err);
    if (status == MTF_OK) status = fit(&ask, settings, seed, stop, err);
    if (status == MTF_OK) status = pick_states(&ask, err);
    if (status == MTF_OK) status = search(&ask, settings, method, start, seed, action, err);
    mtf_fqe_free(ask.fqe);
    mtf_cohort_fini(&ask.cohort);
    free(ask.s);
    return status;
}
