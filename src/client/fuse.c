/* Formula 1 of arXiv:2404.17589, final_score = prod_i (pred_i + bias_i)^pow_i, as a sum of logs:
 * the same order without overflow. */
#include "client/explore.h"

#include <math.h>

#define MTF_FUSE_LEAST 1e-9 /* what a prediction + bias of zero or less counts as */
#define MTF_FUSE_BLOCK 16   /* items at a time */

/** What an action makes of the predictions. */
typedef struct mtf_fusion {
    uint32_t prediction_count;
    double power[MTF_POLICY_ACTIONS_MAX], bias[MTF_POLICY_ACTIONS_MAX];
} mtf_fusion;

#if defined(__x86_64__)
#define LANES   8
#define TARGET  __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma")))
#define NAME(x) avx512_##x
#include "client/fuse_kernel.inc"
#define LANES   4
#define TARGET  __attribute__((target("avx2,fma")))
#define NAME(x) avx2_##x
#include "client/fuse_kernel.inc"
#endif
#define LANES 2
#define TARGET
#define NAME(x) portable_##x
#include "client/fuse_kernel.inc"

typedef void block_fn(const mtf_fusion *fusion, const float *predictions, float *scores);

static block_fn *block_of(mtf_simd widest)
{
#if defined(__x86_64__)
    const mtf_simd best = mtf_simd_best();
    const mtf_simd simd = widest < best ? widest : best;
    if (simd == MTF_SIMD_AVX512) return avx512_fuse;
    if (simd == MTF_SIMD_AVX2) return avx2_fuse;
#endif
    (void)widest;
    return portable_fuse;
}

void mtf_table_weights(const mtf_action_table *table, const float *action, double *power,
                       double *bias)
{
    for (uint32_t p = 0; p < table->prediction_count; p++) power[p] = 1, bias[p] = 0;
    for (uint32_t d = 0; d < table->count; d++) {
        const mtf_action_dim *dim = &table->dims[d];
        const double value = dim->low + 0.5 * (action[d] + 1.0) * ((double)dim->high - dim->low);
        (dim->bias ? bias : power)[dim->prediction_index] = value;
    }
}

void mtf_table_fuse_for(mtf_simd widest, const mtf_action_table *table, const float *action,
                        const float *predictions, uint32_t items, float *scores)
{
    mtf_fusion fusion = {.prediction_count = table->prediction_count};
    mtf_table_weights(table, action, fusion.power, fusion.bias);
    const size_t P = fusion.prediction_count;
    block_fn *const fuse = block_of(widest);
    uint32_t n = 0;
    for (; n + MTF_FUSE_BLOCK <= items; n += MTF_FUSE_BLOCK)
        fuse(&fusion, predictions + n * P, scores + n);
    if (n == items) return;
    float rest[MTF_FUSE_BLOCK * MTF_POLICY_ACTIONS_MAX] = {0}, their_scores[MTF_FUSE_BLOCK];
    memcpy(rest, predictions + n * P, (items - n) * P * sizeof(float));
    fuse(&fusion, rest, their_scores);
    memcpy(scores + n, their_scores, (items - n) * sizeof(float));
}

void mtf_table_fuse(const mtf_action_table *table, const float *action, const float *predictions,
                    uint32_t items, float *scores)
{
    mtf_table_fuse_for(MTF_SIMD_AVX512, table, action, predictions, items, scores);
}

void mtf_table_fuse_items(const mtf_action_table *table, const float *actions,
                          const float *predictions, uint32_t items, float *scores)
{
    const size_t P = table->prediction_count;
    double power[MTF_POLICY_ACTIONS_MAX], bias[MTF_POLICY_ACTIONS_MAX];
    for (size_t n = 0; n < items; n++) {
        double sum = 0;
        mtf_table_weights(table, actions + n * table->count, power, bias);
        for (size_t p = 0; p < P; p++) {
            const double x = (double)predictions[n * P + p] + bias[p];
            sum += power[p] * log(x <= 0 ? MTF_FUSE_LEAST : x);
        }
        scores[n] = (float)sum;
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
