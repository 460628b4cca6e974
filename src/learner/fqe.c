#include "learner/fqe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learner/adam.h"
#include "learner/kernels.h"
#include "learner/mlp.h"

#define RATE_FINAL 0.1 /* of the rate, at the last step */
#define ALIGN      64
#define STOP_EVERY 64       /* steps between two looks at stop */
#define FIT_STREAM 0x667165 /* the rng stream of the fits' seeds */

struct mtf_fqe {
    mtf_fqe_config config;
    uint32_t state_dim, inputs;
    mtf_mlp mlp;
    double offset, scale;                              /* Q = offset + scale network */
    float *mean, *inverse;                             /* (S + A,) of the inputs */
    float *weights, *target, *m, *v, *gradient, *pull; /* blocks of mlp */
    float *x, *x_next, *x_policy;                      /* (batch, S + A) */
    float *q, *y, *dq, *keep;                          /* (batch,) */
    mtf_mlp_space space;
    float *block;    /* owns all of it */
    uint32_t *picks; /* (pick_count,) usable rows, as often as their user counts */
    size_t pick_count;
};

mtf_fqe_config mtf_fqe_config_default(void)
{
    return (mtf_fqe_config){
        .hidden = 64, .batch = 512, .steps = 5000, .gamma = 0.9, .rate = 1e-4, .soft_update = 0.02};
}

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory for fitted Q evaluation");
}

/** Sets every pointer into block; returns how many floats they take. block NULL: only counts. */
static size_t carve(mtf_fqe *fqe, float *block)
{
    const size_t B = fqe->config.batch, D = fqe->inputs, H = fqe->config.hidden, W = fqe->mlp.size;
    const struct {
        float **to;
        size_t count;
    } pieces[] = {{&fqe->mean, D},
                  {&fqe->inverse, D},
                  {&fqe->weights, W},
                  {&fqe->target, W},
                  {&fqe->m, W},
                  {&fqe->v, W},
                  {&fqe->gradient, W},
                  {&fqe->pull, W},
                  {&fqe->x, B * D},
                  {&fqe->x_next, B * D},
                  {&fqe->x_policy, B * D},
                  {&fqe->q, B},
                  {&fqe->y, B},
                  {&fqe->dq, B},
                  {&fqe->keep, B},
                  {&fqe->space.h1, B * H},
                  {&fqe->space.h2, B * H},
                  {&fqe->space.d1, B * H},
                  {&fqe->space.d2, B * H}};
    size_t at = 0;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        if (block) *pieces[i].to = block + at;
        at += (pieces[i].count + ALIGN / 4 - 1) / (ALIGN / 4) * (ALIGN / 4);
    }
    return at;
}

mtf_status mtf_fqe_new(const mtf_fqe_config *config, uint32_t state_dim, uint32_t action_dim,
                       mtf_fqe **out, mtf_err *err)
{
    mtf_fqe *fqe = calloc(1, sizeof *fqe);
    *out = NULL;
    if (!fqe) return no_memory(err);
    fqe->config = *config;
    fqe->state_dim = state_dim;
    fqe->inputs = state_dim + action_dim;
    mtf_mlp_layout(&fqe->mlp, fqe->inputs, config->hidden, 1);
    const size_t bytes = carve(fqe, NULL) * sizeof(float);
    fqe->block = aligned_alloc(ALIGN, bytes);
    if (!fqe->block) {
        free(fqe);
        return no_memory(err);
    }
    memset(fqe->block, 0, bytes);
    carve(fqe, fqe->block);
    mtf_matmul_one_thread();
    *out = fqe;
    return MTF_OK;
}

void mtf_fqe_free(mtf_fqe *fqe)
{
    if (!fqe) return;
    free(fqe->picks);
    free(fqe->block);
    free(fqe);
}

/* -- what is fitted to ------------------------------------------- */

static bool usable(const mtf_cohort *cohort, size_t i)
{
    return cohort->logged[i] && (cohort->next[i] || cohort->done[i]);
}

static mtf_status pick_rows(mtf_fqe *fqe, const mtf_cohort *cohort, const uint32_t *times,
                            mtf_err *err)
{
    size_t count = 0;
    for (size_t i = 0; i < cohort->rows; i++)
        if (usable(cohort, i)) count += times ? times[cohort->user[i]] : 1;
    free(fqe->picks);
    fqe->picks = malloc((count + 1) * sizeof *fqe->picks);
    fqe->pick_count = 0;
    if (!fqe->picks) return no_memory(err);
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!usable(cohort, i)) continue;
        for (uint32_t n = times ? times[cohort->user[i]] : 1; n > 0; n--)
            fqe->picks[fqe->pick_count++] = (uint32_t)i;
    }
    return count ? MTF_OK
                 : mtf_fail(err, MTF_SKIP,
                            "fitted Q evaluation: no explored row is followed by "
                            "another or ends its session");
}

/** Mean and sum of squares about it, one value after another. */
typedef struct moments {
    double count, mean, square;
} moments;

static void moments_add(moments *of, double value)
{
    const double delta = value - of->mean;
    of->mean += delta / ++of->count;
    of->square += delta * (value - of->mean);
}

static double moments_deviation(const moments *of)
{
    const double deviation = of->count > 0 ? sqrt(of->square / of->count) : 0;
    return deviation > 1e-6 ? deviation : 1; /* what does not vary is not blown up */
}

/** Offset and scale of Q and of the inputs, over the picked rows. */
static void set_units(mtf_fqe *fqe, const mtf_cohort *cohort)
{
    const size_t S = fqe->state_dim, D = fqe->inputs, A = D - S;
    moments returns = {0}, rewards = {0};
    for (size_t n = 0; n < fqe->pick_count; n++) {
        const size_t i = fqe->picks[n];
        moments_add(&rewards, cohort->r[i]);
        if (cohort->eligible[i]) moments_add(&returns, cohort->g[i]);
    }
    const moments *values = fqe->config.gamma > 0 && returns.count > 0 ? &returns : &rewards;
    fqe->offset = values->mean;
    fqe->scale = moments_deviation(values);
    for (size_t k = 0; k < D; k++) {
        moments input = {0};
        for (size_t n = 0; n < fqe->pick_count; n++) {
            const size_t i = fqe->picks[n];
            moments_add(&input, (double)(k < S ? cohort->s[i * S + k] : cohort->a[i * A + k - S]));
        }
        fqe->mean[k] = (float)input.mean;
        fqe->inverse[k] = (float)(1 / moments_deviation(&input));
    }
}

static void set_input(const mtf_fqe *fqe, const float *s, const float *a, float *x)
{
    const size_t S = fqe->state_dim;
    for (size_t k = 0; k < fqe->inputs; k++)
        x[k] = ((k < S ? s[k] : a[k - S]) - fqe->mean[k]) * fqe->inverse[k];
}

/* -- a step ------------------------------------------------------ */

/** The step's inputs; y (batch,) = the reward's part of the target in units of the network, keep =
 *  what the next value counts there, dq = the row's weight. */
static void draw_batch(mtf_fqe *fqe, const mtf_cohort *cohort, uint64_t step)
{
    const size_t S = fqe->state_dim, D = fqe->inputs, A = D - S;
    mtf_rng rng = mtf_rng_of(fqe->config.seed, step);
    for (size_t b = 0; b < fqe->config.batch; b++) {
        const size_t i = fqe->picks[mtf_rng_below(&rng, fqe->pick_count)];
        const size_t next = cohort->next[i] ? i + 1 : i;
        set_input(fqe, cohort->s + i * S, cohort->a + i * A, fqe->x + b * D);
        set_input(fqe, cohort->s + next * S, cohort->mu + next * A, fqe->x_next + b * D);
        if (fqe->config.alpha > 0)
            set_input(fqe, cohort->s + i * S, cohort->mu + i * A, fqe->x_policy + b * D);
        const double keep = cohort->next[i] ? fqe->config.gamma : 0;
        fqe->y[b] = (float)((cohort->r[i] + (keep - 1) * fqe->offset) / fqe->scale);
        fqe->keep[b] = (float)keep;
        fqe->dq[b] = cohort->weight[i] / (float)fqe->config.batch;
    }
}

static void add_next_values(mtf_fqe *fqe)
{
    const size_t B = fqe->config.batch;
    mtf_mlp_forward(&fqe->mlp, fqe->target, B, fqe->x_next, fqe->inputs, &fqe->space, fqe->q, 1);
    for (size_t b = 0; b < B; b++) fqe->y[b] += fqe->keep[b] * fqe->q[b];
}

/** gradient of both parts of the loss. */
static void set_gradient(mtf_fqe *fqe)
{
    const size_t B = fqe->config.batch, D = fqe->inputs;
    const float alpha = (float)fqe->config.alpha;
    const bool conservative = fqe->config.alpha > 0;
    if (conservative) {
        mtf_mlp_forward(&fqe->mlp, fqe->weights, B, fqe->x_policy, D, &fqe->space, fqe->q, 1);
        for (size_t b = 0; b < B; b++) fqe->q[b] = alpha * fqe->dq[b];
        mtf_mlp_backward(&fqe->mlp, fqe->weights, B, fqe->x_policy, D, &fqe->space, fqe->q,
                         fqe->pull);
    }
    mtf_mlp_forward(&fqe->mlp, fqe->weights, B, fqe->x, D, &fqe->space, fqe->q, 1);
    for (size_t b = 0; b < B; b++) fqe->dq[b] *= fqe->q[b] - fqe->y[b] - alpha;
    mtf_mlp_backward(&fqe->mlp, fqe->weights, B, fqe->x, D, &fqe->space, fqe->dq, fqe->gradient);
    if (conservative) mtf_add(fqe->gradient, fqe->pull, fqe->mlp.size);
}

static void take_step(mtf_fqe *fqe, const mtf_cohort *cohort, uint64_t step)
{
    const mtf_fqe_config *config = &fqe->config;
    draw_batch(fqe, cohort, step);
    add_next_values(fqe);
    set_gradient(fqe);
    mtf_adam_step(fqe->weights, fqe->m, fqe->v, fqe->gradient, fqe->mlp.size,
                  mtf_cosine_rate(config->rate, RATE_FINAL, step, config->steps), 1, step + 1);
    mtf_approach(fqe->target, fqe->weights, (float)config->soft_update, fqe->mlp.size);
}

mtf_status mtf_fqe_fit(mtf_fqe *fqe, const mtf_cohort *cohort, const uint32_t *times, mtf_err *err)
{
    const mtf_fqe_config *config = &fqe->config;
    mtf_status status = pick_rows(fqe, cohort, times, err);
    if (status) return status;
    const size_t bytes = fqe->mlp.size * sizeof(float);
    mtf_rng rng = mtf_rng_of(config->seed, UINT64_MAX);
    set_units(fqe, cohort);
    mtf_mlp_init(&fqe->mlp, fqe->weights, &rng, 0.1); /* begins near the mean logged return */
    memcpy(fqe->target, fqe->weights, bytes);
    memset(fqe->m, 0, bytes);
    memset(fqe->v, 0, bytes);
    const unsigned before = mtf_flush_denormals_begin();
    for (uint64_t step = 0; step < config->steps && status == MTF_OK; step++) {
        take_step(fqe, cohort, step);
        if (config->stop && step % STOP_EVERY == 0 && atomic_load(config->stop))
            status = mtf_fail(err, MTF_CLOSED, "stopped");
    }
    mtf_flush_denormals_end(before);
    return status;
}

void mtf_fqe_value(mtf_fqe *fqe, size_t rows, const float *s, const float *a, float *q)
{
    const size_t S = fqe->state_dim, A = fqe->inputs - S, B = fqe->config.batch;
    for (size_t first = 0; first < rows; first += B) {
        const size_t count = rows - first < B ? rows - first : B;
        for (size_t b = 0; b < count; b++)
            set_input(fqe, s + (first + b) * S, a + (first + b) * A, fqe->x + b * fqe->inputs);
        mtf_mlp_forward(&fqe->mlp, fqe->weights, count, fqe->x, fqe->inputs, &fqe->space, q + first,
                        1);
        for (size_t b = 0; b < count; b++)
            q[first + b] = (float)(fqe->offset + fqe->scale * (double)q[first + b]);
    }
}

/* -- values of sessions, with refits ----------------------------- */

/** Sums over judged first states, weighted: of Q, of ones and, where the return is whole, of Q, of
 *  it, of ones. */
enum { SUM_Q, SUM_ONE, SUM_WHOLE_Q, SUM_WHOLE_G, SUM_WHOLE_ONE, SUM_COUNT };

typedef struct job {
    const mtf_fqe_config *config;
    const mtf_fold *folds;
    size_t fold_count;
    double (*sums)[SUM_COUNT]; /* of each number: refit, fold */
} job;

static mtf_status judge(mtf_fqe *fqe, const mtf_cohort *judged, const uint32_t *times,
                        double sums[SUM_COUNT], mtf_err *err)
{
    float *q = malloc((judged->rows + 1) * sizeof *q);
    if (!q) return no_memory(err);
    mtf_fqe_value(fqe, judged->rows, judged->s, judged->mu, q);
    for (size_t i = 0; i < judged->rows; i++) {
        if (!judged->first[i] || !judged->logged[i]) continue;
        const double count = times ? times[judged->user[i]] : 1;
        const double weight = count * (double)judged->weight[i];
        sums[SUM_Q] += weight * (double)q[i];
        sums[SUM_ONE] += weight;
        if (!judged->eligible[i]) continue;
        sums[SUM_WHOLE_Q] += weight * (double)q[i];
        sums[SUM_WHOLE_G] += weight * judged->g[i];
        sums[SUM_WHOLE_ONE] += weight;
    }
    free(q);
    return MTF_OK;
}

static mtf_status fit_and_judge(void *arg, uint32_t number, mtf_err *err)
{
    const job *all = arg;
    const uint32_t refit = number / (uint32_t)all->fold_count;
    const mtf_fold *fold = &all->folds[number % all->fold_count];
    const uint64_t seed = all->config->seed;
    mtf_fqe_config config = *all->config;
    config.seed = mtf_rng_bits(seed, number, FIT_STREAM);
    mtf_fqe *fqe = NULL;
    uint32_t *fitted = NULL, *judged = NULL;
    mtf_status status =
        mtf_fqe_new(&config, fold->fit->state_dim, fold->fit->action_dim, &fqe, err);
    if (status == MTF_OK) status = mtf_fold_times(fold, false, seed, refit, &fitted, err);
    if (status == MTF_OK) status = mtf_fold_times(fold, true, seed, refit, &judged, err);
    if (status == MTF_OK) status = mtf_fqe_fit(fqe, fold->fit, fitted, err);
    if (status == MTF_OK) status = judge(fqe, fold->judged, judged, all->sums[number], err);
    free(fitted);
    free(judged);
    mtf_fqe_free(fqe);
    return status;
}

/** The two figures of one fit, over all folds. */
static void figures_of(const job *all, uint32_t refit, double *value, double *gain)
{
    double total[SUM_COUNT] = {0};
    for (size_t f = 0; f < all->fold_count; f++)
        for (int k = 0; k < SUM_COUNT; k++) total[k] += all->sums[refit * all->fold_count + f][k];
    *value = total[SUM_Q] / total[SUM_ONE];
    *gain = (total[SUM_WHOLE_Q] - total[SUM_WHOLE_G]) / total[SUM_WHOLE_ONE];
}

/** Of the judged first states; whole: only those whose return is. */
static void count_judged(const mtf_fold *folds, size_t fold_count, bool whole, mtf_estimate *out)
{
    for (size_t f = 0; f < fold_count; f++) {
        const mtf_cohort *judged = folds[f].judged;
        uint32_t last = UINT32_MAX;
        for (size_t i = 0; i < judged->rows; i++) {
            if (!judged->first[i] || !judged->logged[i] || (whole && !judged->eligible[i]))
                continue;
            out->rows++;
            out->users += judged->user[i] != last;
            last = judged->user[i];
        }
    }
}

static void conclude(const job *all, uint32_t refits, double *values, double *gains,
                     mtf_session_value *out)
{
    double value, gain;
    for (uint32_t k = 0; k < refits; k++) figures_of(all, k + 1, &values[k], &gains[k]);
    figures_of(all, 0, &value, &gain);
    mtf_estimate_refitted(value, values, refits, &out->value);
    mtf_estimate_refitted(gain, gains, refits, &out->gain);
    count_judged(all->folds, all->fold_count, false, &out->value);
    count_judged(all->folds, all->fold_count, true, &out->gain);
}

mtf_status mtf_fqe_estimate(const mtf_fqe_config *config, const mtf_fold *folds, size_t fold_count,
                            uint32_t refits, const mtf_fits *fits, mtf_session_value *out,
                            mtf_err *err)
{
    const uint32_t count = (uint32_t)((refits + 1) * fold_count);
    job all = {config, folds, fold_count, calloc(count, sizeof *all.sums)};
    double *values = calloc(2 * (size_t)refits + 1, sizeof *values);
    *out = (mtf_session_value){mtf_estimate_none(), mtf_estimate_none()};
    mtf_status status = all.sums && values ? MTF_OK : no_memory(err);
    if (status == MTF_OK) status = mtf_fits_run(fits, count, fit_and_judge, &all, err);
    if (status == MTF_OK) conclude(&all, refits, values, values + refits, out);
    free(all.sums);
    free(values);
    return status;
}
