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

/** Row i's shown items as AUC items. */
static void score_row(const mtf_cohort *cohort, const mtf_action_table *table, const float *action,
                      size_t i, float *scores, mtf_auc_item *items)
{
    const size_t first = cohort->item_first[i], count = cohort->item_first[i + 1] - first;
    mtf_fuse(table, action + i * cohort->action_dim,
             cohort->predictions + first * cohort->prediction_count, (uint32_t)count, scores);
    for (size_t k = 0; k < count; k++)
        items[k] = (mtf_auc_item){
            .score = isfinite(scores[k]) ? scores[k] : -HUGE_VALF, /* as mtf_top_k: last */
            .weight = fmaxf(cohort->item_reward[first + k] + 1, WEIGHT_MIN),
            .positive = cohort->item_label[first + k],
        };
}

mtf_status mtf_gauc(const mtf_cohort *cohort, const mtf_action_table *table, const float *action,
                    mtf_gauc_group group, double *gauc, mtf_err *err)
{
    float *scores = malloc((cohort->items + 1) * sizeof *scores);
    mtf_auc_item *items = malloc((cohort->items + 1) * sizeof *items);
    double sum = 0, impressions = 0;
    mtf_status status = MTF_OK;
    if (!scores || !items) {
        status = mtf_fail(err, MTF_NOMEM, "no memory for the weighted GAUC");
        goto done;
    }
    for (size_t i = 0; i < cohort->rows;) {
        const uint32_t user = cohort->user[i];
        size_t count = 0;
        do {
            if (cohort->eligible[i]) {
                score_row(cohort, table, action, i, scores, items + count);
                count += cohort->item_first[i + 1] - cohort->item_first[i];
            }
            i++;
        } while (group == MTF_GAUC_USER && i < cohort->rows && cohort->user[i] == user);
        double auc;
        if (!mtf_weighted_auc(items, count, &auc)) continue;
        sum += auc * (double)count;
        impressions += (double)count;
    }
    *gauc = impressions > 0 ? sum / impressions : (double)NAN;
done:
    free(scores);
    free(items);
    return status;
}
