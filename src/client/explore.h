/** Formula 3 of arXiv:2404.17589: exploration round the served policy, and formula 1: fusion. */
#ifndef MTF_CLIENT_EXPLORE_H
#define MTF_CLIENT_EXPLORE_H

#include "client/policy.h"
#include "client/simd.h"

/** The box round baseline (A), clipped to [-1,1]: lower, upper (A) out, offsets from baseline. */
void mtf_box_clip(uint32_t count, const float *baseline, float half_width, float *lower,
                  float *upper);
/** action (A) = baseline + U(lower, upper), keyed by (seed, request id): the same request gets the
 *  same action anywhere. Returns the log-density, -sum log(upper - lower) over dimensions of
 *  non-zero width. */
double mtf_explore_box(uint64_t seed, mtf_str request_id, uint32_t count, const float *baseline,
                       const float *lower, const float *upper, float *action);
/** Formula 3 for N items' actions, baselines (N,A): the boxes lower, upper (N,A) of half_width,
 * each clipped round its own baseline, and actions (N,A) drawn in them. shared: one draw for all
 * items of the request, at the same place of each box, so that the log-density is one item's; else
 * each item by itself, by its index. */
void mtf_explore_boxes(uint64_t seed, mtf_str request_id, uint32_t items, uint32_t count,
                       const float *baselines, float half_width, bool shared, float *lower,
                       float *upper, float *actions);
/** The rival: baseline + N(0, sigma), clipped to [-1,1]. */
void mtf_explore_gaussian(uint64_t seed, mtf_str request_id, uint32_t count, const float *baseline,
                          float sigma, float *action);

/** action (A) = baseline + N(0, sigma) given that it lies in [-1,1], keyed as mtf_explore_box;
 *  sigma in (0,1]. Returns the log-density of the truncated normal. */
double mtf_explore_truncated(uint64_t seed, mtf_str request_id, uint32_t count,
                             const float *baseline, double sigma, float *action);

/** Formula 1 in logs: scores (N) = sum_i pow_i log(prediction_i + bias_i) for N items of
 *  predictions (N,P) row-major. A prediction + bias <= 0 counts as 1e-9. */
void mtf_table_fuse(const mtf_action_table *table, const float *action, const float *predictions,
                    uint32_t items, float *scores);
/** What an action (A) makes of a table: power, bias (P) out; 1 and 0 without a dimension. */
void mtf_table_weights(const mtf_action_table *table, const float *action, double *power,
                       double *bias);
/** As mtf_table_fuse, with instructions at most as wide as `widest`: for tests and benches. */
void mtf_table_fuse_for(mtf_simd widest, const mtf_action_table *table, const float *action,
                        const float *predictions, uint32_t items, float *scores);
/** The same with an action of its own for each item: actions (N,A). */
void mtf_table_fuse_items(const mtf_action_table *table, const float *actions,
                          const float *predictions, uint32_t items, float *scores);
/** The indices of the k best of N scores, best first, lower index first on ties; NaN last. k <= N.
 */
MTF_API void mtf_top_k(const float *scores, uint32_t count, uint32_t k, uint32_t *indices);

#endif
