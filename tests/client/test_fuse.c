/** Goal: fusion (formula 1 of arXiv:2404.17589) orders items as the product does, and the best k
 *  come out in order.
 *  Method: the product itself in double, and a full sort; ties, zeros, negative predictions, NaN.
 */
#include "support/mtf_test.h"

#include "client/explore.h"
#include "core/rng.h"

#include <float.h>
#include <math.h>

enum { P = 5, N = 60 };

static const char TABLE[] =
    "a.pow=0..2 b.pow=0..2 c.pow=-2..0 d.pow=0..1 a.bias=0.01..0.51 b.bias=0..0.5 "
    "e.bias=1..2 c.bias=0.1..0.2";

/* exp(sum) is the printed product; the powers keep it within double's range. */
static double product(const mtf_action_table *table, const float *action, const float *predictions)
{
    double result = 1;
    for (uint32_t p = 0; p < table->prediction_count; p++) {
        double power = 1, bias = 0;
        for (uint32_t d = 0; d < table->count; d++) {
            const mtf_action_dim *dim = &table->dims[d];
            if (dim->prediction_index != p) continue;
            const double value = dim->low + (action[d] + 1.0) / 2 * ((double)dim->high - dim->low);
            if (dim->bias)
                bias = value;
            else
                power = value;
        }
        const double base = predictions[p] + bias;
        result *= pow(base > 0 ? base : 1e-9, power);
    }
    return result;
}

static void scores_are_the_log_of_the_product(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, TABLE, NULL), NULL);
    assert_int_equal(table.prediction_count, P);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(21), 0);
    for (int n = 0; n < 300; n++) {
        float action[MTF_POLICY_ACTIONS_MAX], predictions[N * P], scores[N];
        for (uint32_t d = 0; d < table.count; d++)
            action[d] = (float)(2 * mtf_rng_uniform(&rng) - 1);
        for (int i = 0; i < N * P; i++) {
            const uint64_t kind = mtf_rng_below(&rng, 8);
            const double drawn = mtf_rng_uniform(&rng);
            predictions[i] = kind == 0   ? 0
                             : kind == 1 ? (float)-drawn
                                         : (float)((double)kind * drawn);
        }
        memcpy(predictions + 3 * P, predictions + 8 * P, P * sizeof(float));
        mtf_table_fuse(&table, action, predictions, N, scores);
        for (int i = 0; i < N; i++) {
            mtf_assert_close(scores[i], log(product(&table, action, predictions + i * P)), 1e-6,
                             1e-5);
        }
        assert_true(scores[3] == scores[8]);
    }
}

static void huge_exponents_overflow_the_product_but_not_the_score(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "a.pow=0..1e30 b.pow=-1e30..0", NULL), NULL);
    const float predictions[] = {2, 1, 3, 1, 2, 2, 0, 0}, action[] = {1, -0.5F};
    float scores[4];
    uint32_t order[4];
    mtf_table_fuse(&table, action, predictions, 4, scores);
    for (int i = 0; i < 4; i++) assert_true(isfinite(scores[i]));
    mtf_assert_close(scores[0], 1e30 * log(2), 1e-6, 0);
    mtf_top_k(scores, 4, 4, order);
    assert_memory_equal(order, ((uint32_t[]){1, 0, 2, 3}), sizeof order);
}

static void a_factor_of_zero_or_less_counts_as_a_billionth(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "a.pow=2..2 a.bias=0.5..0.5", NULL), NULL);
    const float predictions[] = {-0.5F, -7, 0.5F};
    float scores[3];
    mtf_table_fuse(&table, (float[]){0, 0}, predictions, 3, scores);
    mtf_assert_close(scores[0], 2 * log(1e-9), 1e-6, 0);
    assert_true(scores[1] == scores[0] && scores[2] == 0);
    mtf_table_fuse(&table, (float[]){0, 0}, NULL, 0, NULL);
}

/** One prediction to the first power: the score is its logarithm, over all of float's range. */
static void logarithms_are_exact_and_the_same_with_every_instruction_set(void **state)
{
    (void)state;
    enum { COUNT = 1003 }; /* and a block that is not full */
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "a.pow=1..1", NULL), NULL);
    mtf_rng rng = mtf_rng_of(mtf_test_seed(23), 0);
    float predictions[COUNT] = {INFINITY, NAN,     1,      0.70710677F, 0.70710683F, 1.4142135F,
                                FLT_MAX,  FLT_MIN, 1e-45F, 0.99999994F, 1.0000001F};
    float scores[COUNT], widest[COUNT];
    for (int i = 11; i < COUNT; i++)
        predictions[i] = (float)exp(60 * (2 * mtf_rng_uniform(&rng) - 1));
    for (int simd = MTF_SIMD_PORTABLE; simd <= (int)mtf_simd_best(); simd++) {
        mtf_table_fuse_for((mtf_simd)simd, &table, (float[]){0}, predictions, COUNT, scores);
        assert_true(isinf(scores[0]) && isnan(scores[1]) && scores[2] == 0);
        for (int i = 2; i < COUNT; i++)
            assert_true(scores[i] == (float)log((double)predictions[i]));
        mtf_table_fuse(&table, (float[]){0}, predictions, COUNT, widest);
        assert_memory_equal(scores + 2, widest + 2, sizeof scores - 2 * sizeof *scores);
    }
}

static bool better(const float *scores, uint32_t i, uint32_t j)
{
    if (isnan(scores[i]) != isnan(scores[j])) return isnan(scores[j]);
    if (scores[i] > scores[j] || scores[i] < scores[j]) return scores[i] > scores[j];
    return i < j;
}

static void top_k_is_the_head_of_the_sort(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(22), 0);
    for (int n = 0; n < 3000; n++) {
        const uint32_t count = (uint32_t)mtf_rng_below(&rng, 40);
        const uint32_t k = (uint32_t)mtf_rng_below(&rng, count + 1);
        float scores[40];
        uint32_t best[40], sorted[40];
        for (uint32_t i = 0; i < count; i++) {
            const uint64_t kind = mtf_rng_below(&rng, 10);
            scores[i] = kind == 0   ? NAN
                        : kind == 1 ? INFINITY
                        : kind == 2 ? -INFINITY
                                    : (float)(kind / 2);
            sorted[i] = i;
        }
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t j = i; j > 0 && better(scores, sorted[j], sorted[j - 1]); j--) {
                const uint32_t swap = sorted[j];
                sorted[j] = sorted[j - 1], sorted[j - 1] = swap;
            }
        }
        mtf_top_k(scores, count, k, best);
        if (k) assert_memory_equal(best, sorted, k * sizeof best[0]);
    }
}

static void items_are_fused_by_their_own_actions(void **state)
{
    (void)state;
    mtf_action_table table;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(5), 0);
    float actions[N * 8], same[N * 8], predictions[N * P], scores[N], alone, all[N];
    mtf_assert_ok(mtf_action_table_parse(&table, TABLE, NULL), NULL);
    assert_int_equal(table.count, 8);
    for (int i = 0; i < N * 8; i++) actions[i] = (float)(2 * mtf_rng_uniform(&rng) - 1);
    for (int i = 0; i < N * 8; i++) same[i] = actions[i % 8];
    for (int i = 0; i < N * P; i++) predictions[i] = (float)(mtf_rng_uniform(&rng) - 0.05);
    mtf_table_fuse_items(&table, actions, predictions, N, scores);
    for (int n = 0; n < N; n++) {
        mtf_table_fuse(&table, actions + 8 * n, predictions + P * n, 1, &alone);
        mtf_assert_close((double)scores[n], (double)alone, 1e-6, 1e-6);
    }
    mtf_table_fuse_items(&table, same, predictions, N, scores);
    mtf_table_fuse(&table, same, predictions, N, all);
    for (int n = 0; n < N; n++) mtf_assert_close((double)scores[n], (double)all[n], 1e-6, 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_the_log_of_the_product),
        cmocka_unit_test(huge_exponents_overflow_the_product_but_not_the_score),
        cmocka_unit_test(a_factor_of_zero_or_less_counts_as_a_billionth),
        cmocka_unit_test(logarithms_are_exact_and_the_same_with_every_instruction_set),
        cmocka_unit_test(top_k_is_the_head_of_the_sort),
        cmocka_unit_test(items_are_fused_by_their_own_actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
