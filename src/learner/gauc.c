#include "learner/gauc.h"

#include <math.h>
#include <stdlib.h>

#include "client/explore.h"

#define WEIGHT_MIN 1e-6f

static int by_score(const void *left, const void *right)
{
    const float a = ((const mtf_auc_item *)left)->score, b = ((const mtf_auc_item *)right)->score;
    return (a > b) - (a < b);
}

bool mtf_weighted_auc(mtf_auc_item *items, size_t count, double *auc)
{
    if (count) qsort(items, count, sizeof *items, by_score);
    double positives = 0, negatives = 0; /* weights below the tie group at hand */
    double won = 0;
    for (size_t i = 0; i < count;) {
        double tied_positives = 0, tied_negatives = 0;
        const float score = items[i].score;
        for (; i < count && items[i].score == score; i++)
            *(items[i].positive ? &tied_positives : &tied_negatives) += (double)items[i].weight;
        won += tied_positives * (negatives + 0.5 * tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    if (positives <= 0 || negatives <= 0) return false;
    *auc = won / (positives * negatives);
    return true;
}

/* -- the mean over groups ---------------------------------------- */

/** Walks the groups of a cohort. */
typedef struct walk {
    const mtf_cohort *cohort;
    const mtf_action_table *table;
    mtf_gauc_options options;
    float *scores;       /* (items + 1,) */
    mtf_auc_item *items; /* (items + 1,) */
} walk;

static mtf_status walk_begin(walk *w, const mtf_cohort *cohort, const mtf_action_table *table,
                             const mtf_gauc_options *options, mtf_err *err)
{
    *w = (walk){cohort, table, *options, malloc((cohort->items + 1) * sizeof *w->scores),
                malloc((cohort->items + 1) * sizeof *w->items)};
    return w->scores && w->items ? MTF_OK
                                 : mtf_fail(err, MTF_NOMEM, "no memory for the weighted GAUC");
}

static void walk_end(walk *w)
{
    free(w->scores);
    free(w->items);
}

/** Row i's shown items as AUC items. */
static void score_row(const walk *w, const float *action, size_t i, mtf_auc_item *items)
{
    const mtf_cohort *cohort = w->cohort;
    const size_t first = cohort->item_first[i], count = cohort->item_first[i + 1] - first;
    (cohort->list ? mtf_table_fuse_items : mtf_table_fuse)(
        w->table, action + i * cohort->action_dim,
        cohort->predictions + first * cohort->prediction_count, (uint32_t)count, w->scores);
    for (size_t k = 0; k < count; k++)
        items[k] = (mtf_auc_item){
            .score = isfinite(w->scores[k]) ? w->scores[k] : -HUGE_VALF, /* as mtf_top_k: last */
            .weight = w->options.plain ? 1 : fmaxf(cohort->item_reward[first + k] + 1, WEIGHT_MIN),
            .positive = cohort->item_label[first + k],
        };
}

/** The row after the group that begins at row `from`. */
static size_t group_end(const walk *w, size_t from)
{
    const mtf_cohort *cohort = w->cohort;
    size_t end = from + 1;
    while (w->options.group == MTF_GAUC_USER && end < cohort->rows &&
           cohort->user[end] == cohort->user[from])
        end++;
    return end;
}

/** The AUC of rows [from, end) and what it counts; false: it has none. *items: there were so many.
 */
static bool group_auc(const walk *w, const float *action, size_t from, size_t end, double *auc,
                      double *counts, size_t *items)
{
    const mtf_cohort *cohort = w->cohort;
    size_t count = 0;
    for (size_t i = from; i < end; i++) {
        if (!cohort->eligible[i]) continue;
        score_row(w, action, i, w->items + count);
        count += cohort->item_first[i + 1] - cohort->item_first[i];
    }
    *items = count;
    *counts = w->options.mean == MTF_GAUC_EQUAL ? 1 : (double)count;
    if (w->options.mean == MTF_GAUC_WEIGHTS) {
        *counts = 0;
        for (size_t k = 0; k < count; k++) *counts += (double)w->items[k].weight;
    }
    return mtf_weighted_auc(w->items, count, auc);
}

mtf_status mtf_gauc(const mtf_cohort *cohort, const mtf_action_table *table, const float *action,
                    mtf_gauc_group group, double *gauc, mtf_err *err)
{
    const mtf_gauc_options options = {.group = group};
    walk w;
    const mtf_status status = walk_begin(&w, cohort, table, &options, err);
    double sum = 0, weights = 0, auc, counts;
    for (size_t i = 0, end, items; status == MTF_OK && i < cohort->rows; i = end) {
        end = group_end(&w, i);
        if (!group_auc(&w, action, i, end, &auc, &counts, &items)) continue;
        sum += auc * counts;
        weights += counts;
    }
    *gauc = weights > 0 ? sum / weights : (double)NAN;
    walk_end(&w);
    return status;
}

/* -- with intervals ---------------------------------------------- */

/** Of sums of policy's AUC, what it counts, and baseline's. */
static double baseline_figure(const double sums[MTF_SUMS])
{
    return sums[2] / sums[1];
}

static void add_group(const walk *w, const float *policy, const float *baseline, size_t from,
                      size_t end, mtf_sums *sums, int64_t *skipped)
{
    double auc, before, counts;
    size_t items;
    /* Labels decide whether there is an AUC: both have one or neither. */
    if (!group_auc(w, baseline, from, end, &before, &counts, &items) ||
        !group_auc(w, policy, from, end, &auc, &counts, &items)) {
        *skipped += items > 0;
        return;
    }
    double *user = mtf_sums_row(sums, w->cohort->user[from]);
    user[0] += counts * auc;
    user[1] += counts;
    user[2] += counts * before;
}

mtf_status mtf_gauc_make(const mtf_cohort *cohort, const mtf_action_table *table,
                         const float *policy, const float *baseline,
                         const mtf_gauc_options *options, int64_t draws, uint64_t seed,
                         mtf_gauc_figures *out, mtf_err *err)
{
    walk w;
    mtf_sums sums = {0};
    *out = (mtf_gauc_figures){.skipped = 0};
    mtf_status status = walk_begin(&w, cohort, table, options, err);
    if (status == MTF_OK) status = mtf_sums_init(&sums, cohort->users, err);
    for (size_t i = 0, end; status == MTF_OK && i < cohort->rows; i = end) {
        end = group_end(&w, i);
        add_group(&w, policy, baseline, i, end, &sums, &out->skipped);
    }
    const struct {
        mtf_figure figure;
        mtf_estimate *to;
    } figures[] = {{mtf_figure_mean, &out->policy},
                   {baseline_figure, &out->baseline},
                   {mtf_figure_difference, &out->gain}};
    for (size_t k = 0; status == MTF_OK && k < sizeof figures / sizeof *figures; k++)
        status = mtf_bootstrap(&sums, figures[k].figure, draws, seed, figures[k].to, err);
    mtf_sums_fini(&sums);
    walk_end(&w);
    return status;
}
