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
    const mtf_row_shape shape = {1, 1, 1, 1, 0, 0};
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

/* A random cohort: users of several requests of several items, few distinct predictions. */
enum { USERS = 12, REQUESTS = 40, ITEMS = 200 };

static mtf_cohort random_cohort(mtf_rng *rng, const mtf_row_shape *shape)
{
    mtf_cohort cohort;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_init(&cohort, shape, REQUESTS, ITEMS, &err), &err);
    cohort.users = USERS;
    for (uint32_t i = 0; i < REQUESTS; i++) {
        cohort.user[i] = i * USERS / REQUESTS;
        cohort.eligible[i] = mtf_rng_uniform(rng) < 0.9;
        cohort.bp[i] = (float)(2 * mtf_rng_uniform(rng) - 1);
        cohort.mu[i] = (float)(2 * mtf_rng_uniform(rng) - 1);
        cohort.item_first[i + 1] = (i + 1) * ITEMS / REQUESTS;
    }
    for (size_t k = 0; k < ITEMS; k++) {
        cohort.predictions[k] = (float)(0.1 + 0.1 * (double)mtf_rng_below(rng, 6));
        cohort.item_label[k] = mtf_rng_uniform(rng) < 0.3;
        cohort.item_reward[k] = (float)(3 * mtf_rng_uniform(rng) - 1.5); /* some weights floored */
    }
    return cohort;
}

/** GAUC from its definition: pairs of items of one group, whatever else stands between. */
static double brute_gauc(const mtf_cohort *cohort, const float *action, mtf_gauc_options options,
                         const uint32_t *times)
{
    double sum = 0, weights = 0;
    const size_t groups = options.group == MTF_GAUC_USER ? USERS : REQUESTS;
    for (size_t group = 0; group < groups; group++) {
        mtf_auc_item items[ITEMS];
        size_t count = 0;
        double total = 0;
        uint32_t user = 0;
        for (size_t i = 0; i < REQUESTS; i++) {
            if (!cohort->eligible[i]) continue;
            if ((options.group == MTF_GAUC_USER ? cohort->user[i] : i) != group) continue;
            user = cohort->user[i];
            for (size_t k = cohort->item_first[i]; k < cohort->item_first[i + 1]; k++) {
                const double power = (double)action[i] + 1; /* of x.pow=0..2 */
                const double weight = fmax((double)cohort->item_reward[k] + 1, 1e-6);
                items[count++] =
                    (mtf_auc_item){.score = (float)(power * log((double)cohort->predictions[k])),
                                   .weight = options.plain ? 1 : (float)weight,
                                   .positive = cohort->item_label[k]};
                total += (double)items[count - 1].weight;
            }
        }
        double auc;
        if (!brute_force(items, count, &auc)) continue;
        const double counts = options.mean == MTF_GAUC_EQUAL     ? 1
                              : options.mean == MTF_GAUC_WEIGHTS ? total
                                                                 : (double)count;
        sum += times[user] * counts * auc, weights += times[user] * counts;
    }
    return sum / weights;
}

static void every_choice_equals_its_definition(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(21), 1);
    mtf_err err = {0};
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "x.pow=0..2", &err), &err);
    const mtf_row_shape shape = {1, 1, 1, 1, 0, 0};
    uint32_t once[USERS];
    for (int u = 0; u < USERS; u++) once[u] = 1;
    for (int trial = 0; trial < 60; trial++) {
        mtf_cohort cohort = random_cohort(&rng, &shape);
        const mtf_gauc_options options = {(mtf_gauc_group)(trial % 2), (mtf_gauc_mean)(trial % 3),
                                          trial / 6 % 2 == 1};
        mtf_gauc_figures out;
        mtf_assert_ok(
            mtf_gauc_make(&cohort, &table, cohort.mu, cohort.bp, &options, 2, 9, &out, &err), &err);
        const double policy = brute_gauc(&cohort, cohort.mu, options, once);
        const double baseline = brute_gauc(&cohort, cohort.bp, options, once);
        mtf_assert_close(out.policy.value, policy, 1e-6, 0);
        mtf_assert_close(out.baseline.value, baseline, 1e-6, 0);
        mtf_assert_close(out.gain.value, policy - baseline, 1e-6, 1e-6);
        double alone;
        mtf_assert_ok(mtf_gauc(&cohort, &table, cohort.mu, options.group, &alone, &err), &err);
        if (options.mean == MTF_GAUC_IMPRESSIONS && !options.plain)
            mtf_assert_close(out.policy.value, alone, 1e-12, 0);
        mtf_cohort_fini(&cohort);
    }
}

/** The interval comes from users drawn anew: with two draws its ends are their GAUCs. */
static void its_draws_are_of_users(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(22), 2);
    mtf_err err = {0};
    mtf_action_table table;
    mtf_assert_ok(mtf_action_table_parse(&table, "x.pow=0..2", &err), &err);
    const mtf_row_shape shape = {1, 1, 1, 1, 0, 0};
    mtf_cohort cohort = random_cohort(&rng, &shape);
    for (size_t k = 0; k < ITEMS; k++) cohort.item_label[k] = k % 5 == 0; /* every group has both */
    for (size_t i = 0; i < REQUESTS; i++) cohort.eligible[i] = true;
    const mtf_gauc_options options = {.group = MTF_GAUC_REQUEST};
    mtf_gauc_figures out;
    mtf_assert_ok(mtf_gauc_make(&cohort, &table, cohort.mu, cohort.bp, &options, 2, 9, &out, &err),
                  &err);
    double figures[2];
    for (uint64_t draw = 0; draw < 2; draw++) {
        uint32_t times[USERS];
        mtf_bootstrap_draw(USERS, 9, draw, times);
        figures[draw] = brute_gauc(&cohort, cohort.mu, options, times);
    }
    const double low = fmin(figures[0], figures[1]), high = fmax(figures[0], figures[1]);
    mtf_assert_close(out.policy.low, low + 0.025 * (high - low), 1e-6, 0);
    mtf_assert_close(out.policy.high, high - 0.025 * (high - low), 1e-6, 0);
    assert_int_equal(out.policy.users, USERS);
    assert_int_equal(out.policy.rows + out.skipped, REQUESTS);
    mtf_cohort_fini(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_equals_a_count_over_all_pairs),
        cmocka_unit_test(groups_are_weighted_by_impressions),
        cmocka_unit_test(every_choice_equals_its_definition),
        cmocka_unit_test(its_draws_are_of_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
