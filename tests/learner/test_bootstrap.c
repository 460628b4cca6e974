/** Users drawn anew: the errors of a mean and of a paired difference are those of theory where
 *  theory has a formula, intervals cover, draws are a function of their seed, and what cannot be
 *  measured is said to be unknown. The seed is printed. */
#include "learner/bootstrap.h"

#include "core/rng.h"
#include "support/mtf_test.h"

/** `users` of 1 to 4 rows, values mean + user + row noise; beside it a second value that moves with
 *  the first. */
static mtf_sums make_sums(mtf_rng *rng, size_t users, double mean)
{
    mtf_sums sums;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sums_init(&sums, users, &err), &err);
    for (uint32_t u = 0; u < users; u++) {
        const double shared = mtf_rng_normal(rng);
        for (uint64_t n = 1 + mtf_rng_below(rng, 4); n > 0; n--) {
            const double value = mean + shared + mtf_rng_normal(rng);
            double *user = mtf_sums_row(&sums, u);
            user[0] += value;
            user[1] += 1;
            user[2] += value - 0.5 + 0.1 * mtf_rng_normal(rng);
        }
    }
    return sums;
}

static mtf_estimate estimate(const mtf_sums *sums, mtf_figure figure, int64_t draws, uint64_t seed)
{
    mtf_estimate out;
    mtf_err err = {0};
    mtf_assert_ok(mtf_bootstrap(sums, figure, draws, seed, &out, &err), &err);
    return out;
}

static void a_draw_takes_as_many_users_as_there_are(void **state)
{
    (void)state;
    uint32_t count[50], again[50], other[50], times[50] = {0};
    for (uint64_t draw = 0; draw < 400; draw++) {
        mtf_bootstrap_draw(50, 7, draw, count);
        uint32_t all = 0;
        for (int u = 0; u < 50; u++) all += count[u], times[u] += count[u];
        assert_int_equal(all, 50);
    }
    for (int u = 0; u < 50; u++) assert_in_range(times[u], 300, 500); /* 400, deviation 20 */
    mtf_bootstrap_draw(50, 7, 399, again);
    mtf_bootstrap_draw(50, 8, 399, other);
    assert_memory_equal(count, again, sizeof count);
    assert_memory_not_equal(count, other, sizeof count);
}

static void it_equals_drawing_the_rows_of_users_one_by_one(void **state)
{
    (void)state;
    enum { USERS = 30, DRAWS = 25 };
    mtf_rng rng = mtf_rng_of(mtf_test_seed(40), 1);
    mtf_sums sums = make_sums(&rng, USERS, 3);
    const mtf_estimate out = estimate(&sums, mtf_figure_mean, DRAWS, 11);
    double values[DRAWS], mean = 0, square = 0;
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        mtf_rng drawn = mtf_rng_of(11, draw);
        double sum = 0, weight = 0;
        for (int i = 0; i < USERS; i++) {
            const uint64_t u = mtf_rng_below(&drawn, USERS);
            sum += sums.sums[u][0], weight += sums.sums[u][1];
        }
        values[draw] = sum / weight;
        mean += values[draw] / DRAWS;
    }
    for (int i = 0; i < DRAWS; i++) {
        square += (values[i] - mean) * (values[i] - mean);
        for (int k = i; k > 0 && values[k] < values[k - 1]; k--) {
            const double swap = values[k];
            values[k] = values[k - 1], values[k - 1] = swap;
        }
    }
    mtf_assert_close(out.se, sqrt(square / (DRAWS - 1)), 1e-12, 0);
    mtf_assert_close(out.low, values[0] + 0.6 * (values[1] - values[0]), 1e-12, 0); /* 0.025 * 24 */
    mtf_assert_close(out.high, values[23] + 0.4 * (values[24] - values[23]), 1e-12, 0);
    mtf_sums_fini(&sums);
}

/** A mean of users of several rows each: the interval holds the truth in 95 of 100, and one that
 *  took rows for independent would not. */
static void intervals_cover_where_rows_hang_together(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(41), 2);
    enum { TRIALS = 400 };
    int missed = 0, missed_by_rows = 0;
    double ratio = 0;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        mtf_sums sums = make_sums(&rng, 150, 3);
        const mtf_estimate out = estimate(&sums, mtf_figure_mean, 200, trial);
        missed += out.low > 3 || out.high < 3;
        const double by_rows = sqrt(2 / (double)out.rows);
        missed_by_rows += fabs(out.value - 3) > 1.96 * by_rows;
        double square = 0; /* the sandwich */
        for (size_t u = 0; u < sums.users; u++) {
            const double residual = sums.sums[u][0] - out.value * sums.sums[u][1];
            square += residual * residual;
        }
        ratio += out.se / (sqrt(square) / (double)out.rows) / TRIALS;
        mtf_sums_fini(&sums);
    }
    assert_in_range(missed, 5, 40); /* 20 expected, a little more for 150 users */
    assert_true(missed_by_rows > 45);
    mtf_assert_close(ratio, 1, 0.03, 0);
}

static void a_paired_difference_is_as_sharp_as_its_pairs(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(42), 3);
    mtf_sums sums = make_sums(&rng, 500, 3);
    const mtf_estimate mean = estimate(&sums, mtf_figure_mean, 200, 1);
    const mtf_estimate gain = estimate(&sums, mtf_figure_difference, 200, 1);
    mtf_assert_close(gain.value, 0.5, 0, 4 * gain.se);
    assert_true(gain.se < mean.se / 5);
    mtf_assert_close(gain.z, gain.value / gain.se, 1e-12, 0);
    mtf_sums_fini(&sums);
}

static void users_without_a_row_are_not_drawn(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(43), 4);
    mtf_sums few = make_sums(&rng, 40, 3), among;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sums_init(&among, 4000, &err), &err);
    for (uint32_t u = 0; u < 40; u++) {
        double *user = mtf_sums_row(&among, 100 * u + 7);
        memcpy(user, few.sums[u], sizeof *few.sums);
        among.rows[100 * u + 7] = few.rows[u];
    }
    const mtf_estimate a = estimate(&few, mtf_figure_mean, 50, 1);
    const mtf_estimate b = estimate(&among, mtf_figure_mean, 50, 1);
    assert_memory_equal(&a, &b, sizeof a);
    assert_int_equal(b.users, 40);
    mtf_sums_fini(&few);
    mtf_sums_fini(&among);
}

static void what_cannot_be_measured_is_unknown(void **state)
{
    (void)state;
    mtf_sums sums;
    mtf_err err = {0};
    mtf_assert_ok(mtf_sums_init(&sums, 10, &err), &err);
    mtf_estimate out = estimate(&sums, mtf_figure_mean, 50, 1);
    assert_true(isnan(out.value) && isnan(out.se) && isnan(out.low) && isnan(out.high));
    double *one = mtf_sums_row(&sums, 3);
    one[0] = 5, one[1] = 1;
    out = estimate(&sums, mtf_figure_mean, 50, 1);
    assert_true(out.value == 5 && isnan(out.se) && isnan(out.low)); /* one user: no error */
    /* Three users of ten bring all the weight: many a draw has none of them. */
    for (uint32_t u = 0; u < 10; u++) mtf_sums_row(&sums, u)[1] += u < 2;
    out = estimate(&sums, mtf_figure_mean, 500, 1);
    assert_true(isfinite(out.value) && isnan(out.se) && isnan(out.low));
    mtf_sums_fini(&sums);
}

static void few_refits_make_a_wider_interval(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(44), 5);
    const struct {
        size_t refits;
        double t;
    } rows[] = {{2, 12.706}, {3, 4.303}, {5, 2.776}, {10, 2.262}, {20, 2.093}, {200, 1.972}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double values[200], mean = 0, square = 0;
        for (size_t k = 0; k < rows[i].refits; k++)
            mean += (values[k] = mtf_rng_normal(&rng)) / (double)rows[i].refits;
        for (size_t k = 0; k < rows[i].refits; k++)
            square += (values[k] - mean) * (values[k] - mean);
        mtf_estimate out = {0};
        mtf_estimate_refitted(7, values, rows[i].refits, &out);
        mtf_assert_close(out.se, sqrt(square / (double)(rows[i].refits - 1)), 1e-12, 0);
        mtf_assert_close((out.high - out.low) / 2 / out.se, rows[i].t, 0.004, 0);
        mtf_assert_close((out.high + out.low) / 2, 7, 1e-12, 0);
    }
    mtf_estimate out = {0};
    mtf_estimate_refitted(7, NULL, 0, &out);
    assert_true(out.value == 7 && isnan(out.se) && isnan(out.low) && isnan(out.z));
}

/** A figure of judged rows and of a model that has noise of its own: only the widened interval
 * holds the truth as often as it says. */
static void a_models_own_error_widens_the_interval(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(45), 6);
    enum { TRIALS = 400, REFITS = 10 };
    int missed = 0, missed_before = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        const double model = 1.5 * mtf_rng_normal(&rng);
        mtf_estimate out = {.value = 3 + mtf_rng_normal(&rng) + model, .se = 1};
        out.low = out.value - 1.96, out.high = out.value + 1.96;
        missed_before += out.low > 3 || out.high < 3;
        double refits[REFITS];
        for (int k = 0; k < REFITS; k++) refits[k] = out.value + 1.5 * mtf_rng_normal(&rng);
        mtf_estimate_widen(&out, refits, REFITS);
        missed += out.low > 3 || out.high < 3;
        mtf_assert_close((out.high - out.low) / 2, 1.96 * out.se, 1e-9, 0);
        mtf_assert_close(out.z, out.value / out.se, 1e-12, 0);
    }
    assert_in_range(missed, 5, 36); /* 20 expected */
    assert_true(missed_before > 80);
    /* Where the rows bring no error of their own, the model's is all. */
    mtf_estimate none = {.value = 1, .low = 1, .high = 1};
    mtf_estimate_widen(&none, (const double[]){0, 1, 2, 3, 4}, 5);
    mtf_assert_close(none.high - 1, 2.776 * sqrt(2.5), 0.01, 0);
    mtf_assert_close(1 - none.low, 2.776 * sqrt(2.5), 0.01, 0);
    const mtf_estimate before = none;
    mtf_estimate_widen(&none, (const double[]){7}, 1);
    assert_memory_equal(&none, &before, sizeof none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_draw_takes_as_many_users_as_there_are),
        cmocka_unit_test(it_equals_drawing_the_rows_of_users_one_by_one),
        cmocka_unit_test(intervals_cover_where_rows_hang_together),
        cmocka_unit_test(a_paired_difference_is_as_sharp_as_its_pairs),
        cmocka_unit_test(users_without_a_row_are_not_drawn),
        cmocka_unit_test(what_cannot_be_measured_is_unknown),
        cmocka_unit_test(few_refits_make_a_wider_interval),
        cmocka_unit_test(a_models_own_error_widens_the_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
