/* Formula 1 of arXiv:2404.17589, final_score = prod_i (pred_i + bias_i)^pow_i, as a sum of logs:
 * the same order without overflow. */
#include "client/explore.h"

#include <math.h>

#define LEAST_FACTOR 1e-9 /* what a prediction + bias of zero or less counts as */

void mtf_fuse(const mtf_action_table *table, const float *action, const float *predictions,
              uint32_t items, float *scores)
{
    const uint32_t P = table->prediction_count;
    double power[MTF_POLICY_ACTIONS_MAX], bias[MTF_POLICY_ACTIONS_MAX];
    for (uint32_t p = 0; p < P; p++) power[p] = 1, bias[p] = 0;
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        const double value = dim->low + 0.5 * (action[d] + 1.0) * ((double)dim->high - dim->low);
        *(dim->bias ? &bias[dim->prediction_index] : &power[dim->prediction_index]) = value;
    }
    for (uint32_t n = 0; n < items; n++) {
        double score = 0;
        for (uint32_t p = 0; p < P; p++) {
            const double factor = predictions[(size_t)n * P + p] + bias[p];
            score += power[p] * log(factor <= 0 ? LEAST_FACTOR : factor);
        }
        scores[n] = (float)score;
    }
}

/* Items come by ascending index, so that a later one goes before an earlier one only if better. */
static bool goes_before(float later, float earlier)
{
    return later > earlier || (isnan(earlier) && !isnan(later));
}

void mtf_top_k(const float *scores, uint32_t count, uint32_t k, uint32_t *indices)
{
    uint32_t kept = 0;
    for (uint32_t n = 0; n < count; n++) {
        uint32_t at = kept;
        while (at > 0 && goes_before(scores[n], scores[indices[at - 1]])) at--;
        if (at == k) continue;
        if (kept < k) kept++;
        for (uint32_t j = kept - 1; j > at; j--) indices[j] = indices[j - 1];
        indices[at] = n;
    }
}
