#include "learner/reward_model.h"

#include <stdlib.h>

#include "core/rng.h"

#define POLICY_DRAWS 8        /* of the smoothed policy, for the model's mean over it */
#define FIT_STREAM   0x726577 /* the rng stream of the fits' seeds */

/** What each refit's models say of the judged rows. */
typedef struct job {
    const mtf_reward_model_config *config;
    float *q, *q_policy; /* (refits + 1, N) */
} job;

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for models of the reward");
}

/** q and q_policy (N,) out, of the fold's rows. */
static mtf_status ask(const mtf_reward_model_config *config, mtf_fqe *fqe, const mtf_cohort *judged,
                      float *q, float *q_policy, mtf_err *err)
{
    float *said = malloc((judged->rows + 1) * sizeof *said);
    float *action = malloc((judged->rows + 1) * judged->action_dim * sizeof *action);
    const bool room = said && action;
    if (room) mtf_fqe_value(fqe, judged->rows, judged->s, judged->a, said);
    for (size_t i = 0; room && i < judged->rows; i++)
        if (judged->logged[i]) q[i] = said[i];
    for (uint64_t draw = 0; room && draw < POLICY_DRAWS; draw++) {
        mtf_smoothing_draw(judged, &config->smoothing, config->seed, draw, action);
        mtf_fqe_value(fqe, judged->rows, judged->s, action, said);
        for (size_t i = 0; i < judged->rows; i++)
            if (judged->logged[i]) q_policy[i] += said[i] / POLICY_DRAWS;
    }
    free(said);
    free(action);
    return room ? MTF_OK : no_memory(err);
}

static mtf_status fit_and_ask(void *arg, uint32_t number, mtf_err *err)
{
    const job *all = arg;
    const mtf_reward_model_config *config = all->config;
    const uint32_t refit = number / (uint32_t)config->fold_count;
    const mtf_fold *fold = &config->folds[number % config->fold_count];
    const size_t at = refit * config->judged->rows;
    mtf_fqe_config fitted = config->fqe;
    fitted.gamma = fitted.alpha = 0;
    fitted.seed = mtf_rng_bits(config->seed, number, FIT_STREAM);
    mtf_fqe *fqe = NULL;
    uint32_t *times = NULL;
    mtf_status status =
        mtf_fqe_new(&fitted, fold->fit->state_dim, fold->fit->action_dim, &fqe, err);
    if (status == MTF_OK) status = mtf_fold_times(fold, false, config->seed, refit, &times, err);
    if (status == MTF_OK) status = mtf_fqe_fit(fqe, fold->fit, times, err);
    if (status == MTF_OK)
        status = ask(config, fqe, fold->judged, all->q + at, all->q_policy + at, err);
    free(times);
    mtf_fqe_free(fqe);
    return status;
}

/** The estimator under the models of one refit. */
static mtf_status estimate(const job *all, uint32_t refit, int64_t draws, mtf_one_step *out,
                           mtf_err *err)
{
    const mtf_reward_model_config *config = all->config;
    const size_t at = refit * config->judged->rows;
    return mtf_doubly_robust_make(config->judged, &config->smoothing, config->cap, all->q + at,
                                  all->q_policy + at, draws, config->seed, out, err);
}

static mtf_status conclude(const job *all, double *values, double *gains, mtf_one_step *out,
                           mtf_err *err)
{
    const uint32_t refits = all->config->refits;
    mtf_status status = estimate(all, 0, all->config->draws, out, err);
    for (uint32_t k = 0; k < refits && status == MTF_OK; k++) {
        mtf_one_step again;
        status = estimate(all, k + 1, 0, &again, err);
        values[k] = again.value.value;
        gains[k] = again.gain.value;
    }
    if (status) return status;
    mtf_estimate_widen(&out->value, values, refits);
    mtf_estimate_widen(&out->gain, gains, refits);
    return MTF_OK;
}

mtf_status mtf_reward_model_judge(const mtf_reward_model_config *config, const mtf_fits *fits,
                                  mtf_one_step *out, mtf_err *err)
{
    const size_t models = (size_t)config->refits + 1;
    job all = {config, calloc(models * config->judged->rows + 1, sizeof *all.q),
               calloc(models * config->judged->rows + 1, sizeof *all.q_policy)};
    double *values = calloc(2 * models, sizeof *values);
    mtf_status status = all.q && all.q_policy && values ? MTF_OK : no_memory(err);
    if (status == MTF_OK)
        status =
            mtf_fits_run(fits, (uint32_t)(models * config->fold_count), fit_and_ask, &all, err);
    if (status == MTF_OK) status = conclude(&all, values, values + models, out, err);
    free(all.q);
    free(all.q_policy);
    free(values);
    return status;
}
