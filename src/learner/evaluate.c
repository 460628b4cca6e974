#include "learner/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

#define RIDGE          1e-3 /* of the rows' number: features are of deviation 1 */
#define OUTSIDE_MARGIN 0.05f
#define PART_USERS     30 /* fewer make no interval worth the name */
#define NCIS_CAP       100
#define WIDTH_MIN      1e-6f /* a narrower dimension is frozen: no density */
#define TOGETHER       1e-4  /* of a box's width: draws at one place of their boxes */

static mtf_status no_memory(mtf_err *err)
{
    return mtf_fail(err, MTF_NOMEM, "no memory to evaluate the candidate");
}

/* -- the baseline b(s) ------------------------------------------- */

/** Solves A x = b of a positive definite A (n,n) by Cholesky, in place; x ends in b. */
static void solve(double *A, double *b, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        for (size_t k = 0; k < j; k++) A[j * n + j] -= A[j * n + k] * A[j * n + k];
        A[j * n + j] = sqrt(A[j * n + j]);
        for (size_t i = j + 1; i < n; i++) {
            for (size_t k = 0; k < j; k++) A[i * n + j] -= A[i * n + k] * A[j * n + k];
            A[i * n + j] /= A[j * n + j];
        }
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) b[i] -= A[i * n + k] * b[k];
        b[i] /= A[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t k = i + 1; k < n; k++) b[i] -= A[k * n + i] * b[k];
        b[i] /= A[i * n + i];
    }
}

/** x (S + 2,) = [1, s, q] of row i. Of a list only the user: which items were shown hangs on the
 *  action, and what they tell of the return is the action's effect. */
static void regressors(const mtf_cohort *cohort, const float *q, size_t i, double *x)
{
    const uint32_t S = cohort->user_dim;
    x[0] = 1;
    for (uint32_t k = 0; k < S; k++) x[1 + k] = cohort->s[i * cohort->state_dim + k];
    x[1 + S] = cohort->list ? 0 : (double)q[i];
}

mtf_status mtf_baseline_fit(const mtf_cohort *cohort, const float *q, mtf_baseline *baseline,
                            mtf_err *err)
{
    const size_t n = (size_t)cohort->user_dim + 2;
    double *A = calloc(n * n + n, sizeof *A), *x = A ? A + n * n : NULL;
    baseline->state_dim = cohort->user_dim;
    baseline->beta = calloc(n, sizeof *baseline->beta);
    if (!A || !baseline->beta) {
        free(A);
        mtf_baseline_fini(baseline);
        return no_memory(err);
    }
    double rows = 0;
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->eligible[i]) continue;
        regressors(cohort, q, i, x);
        for (size_t j = 0; j < n; j++) {
            for (size_t k = 0; k <= j; k++) A[j * n + k] += x[j] * x[k];
            baseline->beta[j] += x[j] * cohort->g[i];
        }
        rows++;
    }
    if (rows > 0) {
        for (size_t j = 1; j < n; j++) A[j * n + j] += RIDGE * rows; /* the constant is free */
        solve(A, baseline->beta, n);
    }
    free(A);
    return MTF_OK;
}

void mtf_baseline_fini(mtf_baseline *baseline)
{
    free(baseline->beta);
    *baseline = (mtf_baseline){0};
}

void mtf_baseline_at(const mtf_baseline *baseline, const mtf_cohort *cohort, const float *q,
                     double *b)
{
    const uint32_t S = cohort->user_dim;
    const double *beta = baseline->beta;
    for (size_t i = 0; i < cohort->rows; i++) {
        const float *s = cohort->s + i * cohort->state_dim;
        b[i] = beta[0] + (cohort->list ? 0 : beta[1 + S] * (double)q[i]);
        for (uint32_t k = 0; k < S; k++) b[i] += beta[1 + k] * (double)s[k];
    }
}

/* -- the first-order box estimator ------------------------------- */

/** What there is of row i: actions, each of `count` numbers. */
typedef struct row_actions {
    size_t at, items, count;
} row_actions;

static row_actions actions_of(const mtf_cohort *cohort, size_t i)
{
    row_actions row = {i * cohort->action_dim, 1, cohort->action_dim};
    if (cohort->list == 0) return row;
    row.count = cohort->action_dim / cohort->list;
    row.items = cohort->item_first[i + 1] - cohort->item_first[i];
    return row;
}

/** Where in its box number `at` was drawn, -1/2 .. 1/2, and how far the box lets mu move; both in
 *  widths. False: the box has none. */
static bool place_of(const mtf_cohort *cohort, const float *mu, size_t at, double *noise,
                     double *move)
{
    const double bp = cohort->bp[at], low = cohort->lower[at], high = cohort->upper[at];
    const double width = high - low;
    if (width < (double)WIDTH_MIN) return false;
    *noise = ((double)cohort->a[at] - bp - 0.5 * (low + high)) / width;
    *move = fmin(fmax((double)(mu[at] - cohort->bp[at]), low), high) / width;
    return true;
}

/** Dimension d's term 12 (a - mid)(mu - bp) / width^2, of a list with the mean move of its items.
 * Draws at other places of their boxes set *apart. */
static double dimension_term(const mtf_cohort *cohort, const float *mu, row_actions row, size_t d,
                             bool *apart)
{
    double first = 0, moves = 0, noise, move;
    size_t open = 0;
    for (size_t j = 0; j < row.items; j++) {
        if (!place_of(cohort, mu, row.at + j * row.count + d, &noise, &move)) continue;
        if (open++ == 0) first = noise;
        *apart |= fabs(noise - first) > TOGETHER;
        moves += move;
    }
    return open ? 12 * first * moves / (double)open : 0;
}

/** Row i's term sum_d 12 (a - mid)(mu - bp) / width^2; adds drifts, effects and what is outside. */
static double row_slope(const mtf_cohort *cohort, const float *mu, size_t i, double surprise,
                        mtf_first_order *out)
{
    const row_actions row = actions_of(cohort, i);
    const double weight = cohort->weight[i];
    double slope = 0;
    bool apart = false;
    for (size_t d = 0; d < row.count; d++) {
        double drift = 0;
        for (size_t j = 0; j < row.items; j++) {
            const size_t at = row.at + j * row.count + d;
            const float move = mu[at] - cohort->bp[at];
            drift += (double)move;
            out->outside_share += move > cohort->upper[at] + OUTSIDE_MARGIN ||
                                  move < cohort->lower[at] - OUTSIDE_MARGIN;
        }
        const double term = dimension_term(cohort, mu, row, d, &apart);
        if (row.items) out->drift[d] += weight * (drift / (double)row.items);
        out->effect[d] += weight * surprise * term;
        slope += term;
    }
    out->apart += apart;
    return slope;
}

mtf_status mtf_first_order_make(const mtf_cohort *cohort, const float *mu, const double *b,
                                int64_t draws, uint64_t seed, mtf_first_order *out, mtf_err *err)
{
    mtf_sums sums;
    mtf_status status = mtf_sums_init(&sums, cohort->users, err);
    if (status) return status;
    *out = (mtf_first_order){0};
    double weights = 0, dimensions = 0;
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->eligible[i]) continue;
        const row_actions row = actions_of(cohort, i);
        dimensions += (double)(row.items * row.count);
        const double surprise = cohort->g[i] - b[i], weight = cohort->weight[i];
        double *user = mtf_sums_row(&sums, cohort->user[i]);
        user[0] += weight * surprise * row_slope(cohort, mu, i, surprise, out);
        user[1] += weight;
        weights += weight;
    }
    status = mtf_bootstrap(&sums, mtf_figure_mean, draws, seed, &out->gain, err);
    out->rows = out->gain.rows;
    out->users = out->gain.users;
    const size_t count = cohort->list ? cohort->action_dim / cohort->list : cohort->action_dim;
    for (size_t d = 0; d < count; d++) {
        out->drift[d] /= weights; /* 0/0: NaN */
        out->effect[d] /= weights;
    }
    out->outside_share /= dimensions;
    if (out->apart) out->gain = mtf_estimate_none();
    mtf_sums_fini(&sums);
    return status;
}

/* -- parts of users and requests --------------------------------- */

static int ascending(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

/** rows (users,) out: eligible ones of each. Returns the median over users that have any. */
static uint32_t count_rows(const mtf_cohort *cohort, uint32_t *rows, uint32_t *sorted)
{
    size_t users = 0;
    memset(rows, 0, cohort->users * sizeof *rows);
    for (size_t i = 0; i < cohort->rows; i++)
        if (cohort->eligible[i]) rows[cohort->user[i]]++;
    for (size_t u = 0; u < cohort->users; u++)
        if (rows[u]) sorted[users++] = rows[u];
    qsort(sorted, users, sizeof *sorted, ascending);
    return users ? sorted[(users - 1) / 2] : 0;
}

static bool in_part(const mtf_cohort *cohort, mtf_part part, bool light, size_t i)
{
    switch (part) {
    case MTF_PART_LIGHT:
        return light;
    case MTF_PART_HEAVY:
        return !light;
    case MTF_PART_FIRST:
        return cohort->first[i];
    case MTF_PART_LATER:
    case MTF_PARTS:
        break;
    }
    return !cohort->first[i];
}

mtf_status mtf_parts_make(const mtf_cohort *cohort, const float *mu, const double *b, int64_t draws,
                          uint64_t seed, mtf_estimate out[MTF_PARTS], mtf_err *err)
{
    uint32_t *rows = malloc((2 * cohort->users + 1) * sizeof *rows);
    bool *eligible = malloc(cohort->rows + 1);
    mtf_cohort view = *cohort;
    mtf_status status = rows && eligible ? MTF_OK : no_memory(err);
    const uint32_t median = status ? 0 : count_rows(cohort, rows, rows + cohort->users);
    view.eligible = eligible;
    for (mtf_part part = 0; part < MTF_PARTS && status == MTF_OK; part++) {
        mtf_first_order found;
        for (size_t i = 0; i < cohort->rows; i++)
            eligible[i] =
                cohort->eligible[i] && in_part(cohort, part, rows[cohort->user[i]] <= median, i);
        status = mtf_first_order_make(&view, mu, b, draws, seed, &found, err);
        out[part] = found.users < PART_USERS || found.apart ? mtf_estimate_none() : found.gain;
    }
    free(rows);
    free(eligible);
    return status;
}

/* -- skill of the critics ---------------------------------------- */

/** Pearson's correlation from sums of w, wq, wg, wqq, wgg, wqg; 0 where either is constant. */
static double correlation(const double sums[MTF_SUMS])
{
    const double n = sums[0], q = sums[1] / n, g = sums[2] / n;
    const double qq = sums[3] / n - q * q, gg = sums[4] / n - g * g;
    return qq > 0 && gg > 0 ? (sums[5] / n - q * g) / sqrt(qq * gg) : 0;
}

mtf_status mtf_skill_make(const mtf_cohort *cohort, const float *q, int64_t draws, uint64_t seed,
                          mtf_estimate *out, mtf_err *err)
{
    mtf_sums sums;
    mtf_status status = mtf_sums_init(&sums, cohort->users, err);
    if (status) return status;
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->eligible[i]) continue;
        const double w = cohort->weight[i], x = q[i], g = cohort->g[i];
        const double terms[MTF_SUMS] = {w, w * x, w * g, w * x * x, w * g * g, w * x * g};
        double *user = mtf_sums_row(&sums, cohort->user[i]);
        for (int k = 0; k < MTF_SUMS; k++) user[k] += terms[k];
    }
    status = mtf_bootstrap(&sums, correlation, draws, seed, out, err);
    mtf_sums_fini(&sums);
    return status;
}

/* -- the sense of the reward ------------------------------------- */

/** What a consumed item brings above the mean item. Below 0 the reward has the wrong sign: what
 *  users take would be what it punishes. NaN: nothing was consumed. */
static double consumed_gain(const mtf_cohort *cohort)
{
    double sum[2] = {0}, count[2] = {0}; /* of all items, of those consumed */
    for (size_t i = 0; i < cohort->rows; i++) {
        if (!cohort->eligible[i]) continue;
        for (size_t k = cohort->item_first[i]; k < cohort->item_first[i + 1]; k++) {
            for (int consumed = 0; consumed <= cohort->item_label[k]; consumed++) {
                sum[consumed] += (double)cohort->item_reward[k];
                count[consumed]++;
            }
        }
    }
    return sum[1] / count[1] - sum[0] / count[0];
}

/* -- all of it --------------------------------------------------- */

mtf_evaluation mtf_evaluation_none(void)
{
    const double nan = (double)NAN;
    const mtf_estimate none = mtf_estimate_none();
    mtf_evaluation out = {.first_order = {.gain = none, .outside_share = nan},
                          .ncis = {.value = none, .gain = none, .support = nan},
                          .fqe = {none, none},
                          .skill = none,
                          .consumed_gain = nan,
                          .gauc_gain = none,
                          .gauc_baseline = nan,
                          .gauc_policy = nan,
                          .gauc_baseline_request = nan,
                          .gauc_policy_request = nan};
    for (int part = 0; part < MTF_PARTS; part++) out.parts[part] = none;
    return out;
}

/** A candidate that would not explore is no density to weigh by: nothing is said of it. */
static mtf_status weighted(const mtf_evaluation_config *config, const float *mu, mtf_one_step *out,
                           mtf_err *err)
{
    const mtf_smoothing smoothing = {mu, config->half_width};
    *out = mtf_evaluation_none().ncis;
    if (config->half_width <= 0) return MTF_OK;
    if (config->heldout->list) return MTF_OK; /* nor of lists, whose items' draws may be one */
    return mtf_ncis_make(config->heldout, &smoothing, NCIS_CAP, config->draws, config->seed, out,
                         err);
}

/** Fitted on training users, judged on held-out ones. Rows that nothing can be fitted to give none.
 */
static mtf_status fitted(const mtf_evaluation_config *config, float *mu, mtf_session_value *out,
                         mtf_err *err)
{
    mtf_cohort fit = *config->training, judged = *config->heldout;
    mtf_err why = {0};
    *out = mtf_evaluation_none().fqe;
    if (config->fqe.steps == 0) return MTF_OK;
    fit.mu = malloc((fit.rows + 1) * fit.action_dim * sizeof *fit.mu);
    if (!fit.mu) return no_memory(err);
    judged.mu = mu;
    config->ops->act(config->algorithm, fit.rows, fit.s, fit.mu);
    const mtf_fold fold = {&fit, &judged};
    const mtf_status status =
        mtf_fqe_estimate(&config->fqe, &fold, 1, config->fqe_refits, &config->fits, out, &why);
    free(fit.mu);
    if (status == MTF_SKIP) return MTF_OK;
    return status ? mtf_fail(err, status, "%s", why.msg) : MTF_OK;
}

/** What mu ranks better than the baseline's action, by user with errors and by request. */
static mtf_status gaucs(const mtf_evaluation_config *config, const float *mu, mtf_evaluation *out,
                        mtf_err *err)
{
    const mtf_cohort *cohort = config->heldout;
    const mtf_gauc_options by_user = {.group = MTF_GAUC_USER};
    mtf_gauc_figures figures;
    mtf_status status = mtf_gauc_make(cohort, config->table, mu, cohort->bp, &by_user,
                                      config->draws, config->seed, &figures, err);
    if (status) return status;
    out->gauc_policy = figures.policy.value;
    out->gauc_baseline = figures.baseline.value;
    out->gauc_gain = figures.gain;
    status = mtf_gauc(cohort, config->table, mu, MTF_GAUC_REQUEST, &out->gauc_policy_request, err);
    if (status) return status;
    return mtf_gauc(cohort, config->table, cohort->bp, MTF_GAUC_REQUEST,
                    &out->gauc_baseline_request, err);
}

mtf_status mtf_evaluate(const mtf_evaluation_config *config, mtf_evaluation *out, mtf_err *err)
{
    const mtf_cohort *heldout = config->heldout, *training = config->training;
    const mtf_algorithm_ops *ops = config->ops;
    const size_t rows = heldout->rows > training->rows ? heldout->rows : training->rows;
    mtf_baseline baseline = {0};
    float *mu = malloc((heldout->rows + 1) * heldout->action_dim * sizeof *mu);
    float *q = malloc((rows + 1) * sizeof *q);
    double *b = malloc((heldout->rows + 1) * sizeof *b);
    mtf_status status = mu && q && b ? MTF_OK : no_memory(err);
    if (status) goto done;

    ops->value(config->algorithm, training->rows, training->s, training->bp, q);
    status = mtf_baseline_fit(training, q, &baseline, err);
    if (status) goto done;
    ops->act(config->algorithm, heldout->rows, heldout->s, mu);
    ops->value(config->algorithm, heldout->rows, heldout->s, heldout->bp, q);
    mtf_baseline_at(&baseline, heldout, q, b);
    status =
        mtf_first_order_make(heldout, mu, b, config->draws, config->seed, &out->first_order, err);
    if (status == MTF_OK)
        status = mtf_parts_make(heldout, mu, b, config->draws, config->seed, out->parts, err);
    if (status == MTF_OK) status = weighted(config, mu, &out->ncis, err);
    if (status == MTF_OK) status = fitted(config, mu, &out->fqe, err);
    if (status) goto done;
    ops->value(config->algorithm, heldout->rows, heldout->s, heldout->a, q);
    status = mtf_skill_make(heldout, q, config->draws, config->seed, &out->skill, err);
    if (status == MTF_OK) status = gaucs(config, mu, out, err);
    out->consumed_gain = consumed_gain(heldout);
done:
    mtf_baseline_fini(&baseline);
    free(mu);
    free(q);
    free(b);
    return status;
}
