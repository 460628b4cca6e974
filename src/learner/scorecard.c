#include "learner/scorecard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FOLDS_MAX 2

/** What is worked with: folds over the judged rows, and what the models say of those. */
typedef struct work {
    const mtf_scorecard_config *config;
    const mtf_cohort *judged;
    mtf_smoothing smoothing;
    mtf_cohort views[FOLDS_MAX];
    mtf_fold folds[FOLDS_MAX];
    size_t fold_count;
    bool *flags;        /* of the views: logged and eligible of each */
    double *b;          /* (N,) the first-order estimator's baseline */
    double *row_values; /* (N,) */
    float *no_critic;   /* (rows,) of the larger cohort: zeros */
    mtf_scorecard *out;
} work;

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory to evaluate the policy");
}

static void add(work *w, const char *name, const char *what, const mtf_estimate *estimate)
{
    mtf_scorecard *out = w->out;
    MTF_ASSERT(out->count < MTF_SCORES_MAX);
    out->scores[out->count++] = (mtf_score){name, what, *estimate};
}

/* -- folds ------------------------------------------------------- */

/** The judged cohort as if only users of one half had been logged. */
static void make_half(work *w, uint32_t half)
{
    const mtf_cohort *judged = w->judged;
    mtf_cohort *view = &w->views[half];
    bool *logged = w->flags + 2 * half * judged->rows, *eligible = logged + judged->rows;
    for (size_t i = 0; i < judged->rows; i++) {
        const bool in = judged->user[i] % 2 == half;
        logged[i] = in && judged->logged[i];
        eligible[i] = in && judged->eligible[i];
    }
    *view = *judged;
    view->logged = logged;
    view->eligible = eligible;
}

static void make_folds(work *w)
{
    const mtf_cohort *training = w->config->training;
    if (training) {
        w->folds[w->fold_count++] = (mtf_fold){training, w->judged};
        return;
    }
    for (uint32_t half = 0; half < 2; half++) make_half(w, half);
    for (uint32_t half = 0; half < 2; half++)
        w->folds[w->fold_count++] = (mtf_fold){&w->views[1 - half], &w->views[half]};
}

static mtf_status work_init(work *w, const mtf_scorecard_config *config, mtf_scorecard *out,
                            mtf_err *err)
{
    const mtf_cohort *judged = config->judged, *training = config->training;
    const size_t n = judged->rows + 1;
    const size_t most = training && training->rows > judged->rows ? training->rows + 1 : n;
    *out = (mtf_scorecard){.action_dim = judged->action_dim / (judged->list ? judged->list : 1),
                           .support = (double)NAN};
    *w = (work){.config = config,
                .judged = judged,
                .smoothing = {judged->mu, config->smoothing.half_width},
                .flags = calloc(4 * n, sizeof *w->flags),
                .b = calloc(n, sizeof *w->b),
                .row_values = calloc(n, sizeof *w->row_values),
                .no_critic = calloc(most, sizeof *w->no_critic),
                .out = out};
    if (!w->flags || !w->b || !w->row_values || !w->no_critic) return no_memory(err);
    make_folds(w);
    return MTF_OK;
}

static void work_fini(work *w)
{
    free(w->flags);
    free(w->b);
    free(w->row_values);
    free(w->no_critic);
}

/* -- what was logged --------------------------------------------- */

/** The weighted mean of a value of rows, where `takes` says so. */
static mtf_status mean_of(const work *w, const double *values, const bool *takes, bool firsts,
                          mtf_estimate *out, mtf_err *err)
{
    const mtf_cohort *judged = w->judged;
    mtf_sums sums;
    mtf_status status = mtf_sums_init(&sums, judged->users, err);
    if (status) return status;
    for (size_t i = 0; i < judged->rows; i++) {
        if (!takes[i] || (firsts && !judged->first[i])) continue;
        double *user = mtf_sums_row(&sums, judged->user[i]);
        user[0] += (double)judged->weight[i] * values[i];
        user[1] += (double)judged->weight[i];
    }
    status = mtf_bootstrap(&sums, mtf_figure_mean, w->config->draws, w->config->seed, out, err);
    mtf_sums_fini(&sums);
    return status;
}

static mtf_status logged_metrics(work *w, mtf_err *err)
{
    const mtf_cohort *judged = w->judged;
    mtf_estimate reward, discounted, session;
    for (size_t i = judged->rows; i-- > 0;) /* what is left of the session, undiscounted */
        w->row_values[i] = judged->r[i] + (judged->next[i] ? w->row_values[i + 1] : 0);
    mtf_status status = mean_of(w, judged->r, judged->logged, false, &reward, err);
    if (status == MTF_OK) status = mean_of(w, w->row_values, judged->eligible, true, &session, err);
    if (status == MTF_OK) status = mean_of(w, judged->g, judged->eligible, true, &discounted, err);
    if (status) return status;
    add(w, "logged.reward", "reward of a request, as served", &reward);
    add(w, "logged.session", "reward of a session, as served, undiscounted", &session);
    add(w, "logged.return", "return of a session, as served, discounted", &discounted);
    return MTF_OK;
}

/* -- estimators -------------------------------------------------- */

/** b of the rows that the fold judges. */
static mtf_status fit_baseline(work *w, const mtf_fold *fold, mtf_err *err)
{
    mtf_baseline baseline = {0};
    const mtf_status status = mtf_baseline_fit(fold->fit, w->no_critic, &baseline, err);
    if (status) return status;
    mtf_baseline_at(&baseline, fold->judged, w->no_critic, w->row_values);
    for (size_t i = 0; i < fold->judged->rows; i++)
        if (fold->judged->eligible[i]) w->b[i] = w->row_values[i];
    mtf_baseline_fini(&baseline);
    return MTF_OK;
}

static mtf_status first_order(work *w, mtf_err *err)
{
    const mtf_scorecard_config *config = w->config;
    mtf_first_order found;
    mtf_status status = MTF_OK;
    for (size_t f = 0; f < w->fold_count && status == MTF_OK; f++)
        status = fit_baseline(w, &w->folds[f], err);
    if (status == MTF_OK)
        status = mtf_first_order_make(w->judged, w->judged->mu, w->b, config->draws, config->seed,
                                      &found, err);
    if (status) return status;
    add(w, "first_order.gain", "return gained by taking the policy's action once", &found.gain);
    w->out->outside_share = found.outside_share;
    memcpy(w->out->drift, found.drift, sizeof found.drift);
    memcpy(w->out->effect, found.effect, sizeof found.effect);
    return MTF_OK;
}

static mtf_status weighted(work *w, mtf_err *err)
{
    const mtf_scorecard_config *config = w->config;
    mtf_one_step found;
    mtf_status status = mtf_ncis_make(w->judged, &w->smoothing, config->cap, config->draws,
                                      config->seed, &found, err);
    if (status) return status;
    add(w, "ncis.value", "reward of a request, weighted", &found.value);
    add(w, "ncis.gain", "over the served reward", &found.gain);
    w->out->support = found.support;
    w->out->effective = found.effective;
    return MTF_OK;
}

static mtf_status modelled(work *w, mtf_err *err)
{
    const mtf_scorecard_config *config = w->config;
    const mtf_reward_model_config model = {
        .judged = w->judged,
        .folds = w->folds,
        .fold_count = w->fold_count,
        .smoothing = w->smoothing,
        .cap = config->cap,
        .fqe = config->fqe,
        .draws = config->draws,
        .refits = config->refits,
        .seed = config->seed,
    };
    mtf_one_step found;
    if (!config->fqe.steps) return MTF_OK;
    const mtf_status status = mtf_reward_model_judge(&model, &config->fits, &found, err);
    if (status) return status;
    add(w, "doubly_robust.value", "reward of a request, modelled and weighted", &found.value);
    add(w, "doubly_robust.gain", "over the served reward", &found.gain);
    return MTF_OK;
}

static mtf_status fitted(work *w, mtf_err *err)
{
    const struct {
        double alpha;
        const char *value, *gain, *what;
    } forms[] = {
        {0, "fqe.value", "fqe.gain", "return of a session, by fitted Q"},
        {w->config->fqe.alpha, "conservative.value", "conservative.gain",
         "return of a session, by conservative fitted Q"},
    };
    const mtf_scorecard_config *config = w->config;
    mtf_status status = MTF_OK;
    for (size_t k = 0; k < sizeof forms / sizeof *forms && config->fqe.steps; k++) {
        mtf_fqe_config fqe = config->fqe;
        mtf_session_value found;
        fqe.alpha = forms[k].alpha;
        fqe.seed = config->seed;
        status = mtf_fqe_estimate(&fqe, w->folds, w->fold_count, config->refits, &config->fits,
                                  &found, err);
        if (status) break;
        add(w, forms[k].value, forms[k].what, &found.value);
        add(w, forms[k].gain, "over the served return", &found.gain);
    }
    return status;
}

static mtf_status ranked(work *w, mtf_err *err)
{
    const mtf_scorecard_config *config = w->config;
    const struct {
        mtf_gauc_group group;
        const char *policy, *baseline, *gain, *what;
        int64_t *skipped;
    } groups[] = {
        {MTF_GAUC_USER, "gauc.user.policy", "gauc.user.baseline", "gauc.user.gain",
         "weighted GAUC by user", &w->out->gauc_skipped_users},
        {MTF_GAUC_REQUEST, "gauc.request.policy", "gauc.request.baseline", "gauc.request.gain",
         "weighted GAUC by request", &w->out->gauc_skipped_requests},
    };
    for (size_t k = 0; k < sizeof groups / sizeof *groups; k++) {
        const mtf_gauc_options options = {groups[k].group, config->gauc_mean, config->gauc_plain};
        mtf_gauc_figures found;
        const mtf_status status =
            mtf_gauc_make(w->judged, config->table, w->judged->mu, w->judged->bp, &options,
                          config->draws, config->seed, &found, err);
        if (status) return status;
        add(w, groups[k].policy, groups[k].what, &found.policy);
        add(w, groups[k].baseline, "the same of the policy that was served", &found.baseline);
        add(w, groups[k].gain, "policy less baseline, paired", &found.gain);
        *groups[k].skipped = found.skipped;
    }
    return MTF_OK;
}

static void count_judged(const mtf_cohort *judged, mtf_scorecard *out)
{
    uint32_t user = UINT32_MAX, session = UINT32_MAX;
    for (size_t i = 0; i < judged->rows; i++) {
        if (!judged->logged[i]) continue;
        out->rows++;
        out->users += judged->user[i] != user;
        out->sessions += judged->session[i] != session;
        user = judged->user[i], session = judged->session[i];
    }
}

mtf_status mtf_scorecard_make(const mtf_scorecard_config *config, mtf_scorecard *out, mtf_err *err)
{
    /* Lists are shown by the action: a density of what was shown alone, or a model of what follows
       from it, is none of the policy. */
    static const struct {
        mtf_status (*make)(work *, mtf_err *);
        bool of_lists;
    } parts[] = {{logged_metrics, true}, {first_order, true}, {weighted, false},
                 {modelled, false},      {fitted, false},     {ranked, true}};
    work w;
    mtf_status status = work_init(&w, config, out, err);
    if (status == MTF_OK) count_judged(config->judged, out);
    if (status == MTF_OK && out->rows == 0)
        status = mtf_fail(err, MTF_SKIP, "no explored row to judge the policy on");
    for (size_t k = 0; k < sizeof parts / sizeof *parts && status == MTF_OK; k++)
        if (parts[k].of_lists || !config->judged->list) status = parts[k].make(&w, err);
    work_fini(&w);
    return status;
}

const mtf_estimate *mtf_scorecard_find(const mtf_scorecard *card, const char *name)
{
    for (size_t i = 0; i < card->count; i++)
        if (strcmp(card->scores[i].name, name) == 0) return &card->scores[i].estimate;
    return NULL;
}
