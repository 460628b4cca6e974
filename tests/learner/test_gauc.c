/** The weighted AUC in O(n log n) equals a count over all pairs (spec 6, test 6), ties included;
 * its mean over groups skips groups without a pair. On random groups; the seed is printed. */
#include "learner/gauc.h"

#include "core/rng.h"
#include "support/mtf_test.h"

/** The definition, pair by pair. */
static bool brute_force(const mtf_auc_item *items, size_t count, double *auc)
{
    double won = 0, pairs = 0;
    for (size_t p = 0; p < count; p++)
        for (size_t n = 0; n < count; n++) {
            if (!items[p].positive || items[n].positive) continue;
            const double weight = (double)items[p].weight * (double)items[n].weight;
            pairs += weight;
            if (items[p].score > items[n].score) won += weight;
            if (items[p].score == items[n].score) won += 0.5 * weight;
        }
    *auc = won / pairs;
    return pairs > 0;
}

static void it_equals_a_count_over_all_pairs(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(20), 0);
    int both = 0;
    for (int trial = 0; trial < 2000; trial++) {
        mtf_auc_item items[60];
        const size_t count = mtf_rng_below(&rng, 60);
        const uint64_t levels = 1 + mtf_rng_below(&rng, 40); /* few levels: many ties */
        for (size_t i = 0; i < count; i++)
            items[i] = (mtf_auc_item){.score = (float)mtf_rng_below(&rng, levels) - 3,
                                      .weight = (float)(1e-6 + 5 * mtf_rng_uniform(&rng)),
                                      .positive = mtf_rng_uniform(&rng) < 0.4};
        double expected, actual;
        const bool there = brute_force(items, count, &expected);
        assert_int_equal(mtf_weighted_auc(items, count, &actual), there);
        if (there) mtf_assert_close(actual, expected, 1e-12, 1e-12);
        both += there;
    }
    assert_true(both > 1000);
}

static void groups_are_weighted_by_impressions(void **state)
{
    (void)state;
    mtf_err err = {0};
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "x.pow=0..2", &err), &err);
    const mtf_row_shape shape = {1, 1, 1, 1};
    mtf_cohort cohort;
    mtf_assert_ok(mtf_cohort_init(&cohort, &shape, 5, 9, &err), &err);
    cohort.users = 2;
    const size_t first[] = {0, 2, 4, 6, 7, 9};
    const uint32_t user[] = {0, 0, 0, 1, 1};
    const float predictions[] = {0.9f, 0.1f, 0.2f, 0.8f, 0.3f, 0.4f, 0.5f, 0.6f, 0.6f};
    const bool labels[] = {1, 0, 1, 0, 0, 0, 1, 1, 0};
    memcpy(cohort.item_first, first, sizeof first);
    memcpy(cohort.user, user, sizeof user);
    memcpy(cohort.predictions, predictions, sizeof predictions);
    memcpy(cohort.item_label, labels, sizeof labels);
    for (int i = 0; i < 5; i++) cohort.eligible[i] = true;
    float action[5] = {0}; /* pow 1: the order of the predictions */
    double gauc;
    mtf_assert_ok(mtf_gauc(&cohort, &table, action, MTF_GAUC_REQUEST, &gauc, &err), &err);
    mtf_assert_close(gauc, (2 * 1.0 + 2 * 0.0 + 2 * 0.5) / 6, 1e-12, 0);
    /* user 0: positives .9 .2, negatives .1 .8 .3 .4: wins 4 + 1 of 8; user 1: .5 .6 over .6 */
    mtf_assert_ok(mtf_gauc(&cohort, &table, action, MTF_GAUC_USER, &gauc, &err), &err);
    mtf_assert_close(gauc, (6 * 5.0 / 8 + 3 * 0.25) / 9, 1e-12, 0);
    cohort.eligible[0] = cohort.eligible[1] = cohort.eligible[4] = false;
    mtf_assert_ok(mtf_gauc(&cohort, &table, action, MTF_GAUC_REQUEST, &gauc, &err), &err);
    assert_true(isnan(gauc));
    mtf_cohort_fini(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_equals_a_count_over_all_pairs),
        cmocka_unit_test(groups_are_weighted_by_impressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
