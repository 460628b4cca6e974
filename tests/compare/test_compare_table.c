/** Goal: the table says what its cells say. Method: random users' days, added up anew by hand;
 *  intervals against the textbook's. */
#include "support/mtf_test.h"

#include <string.h>

#include "compare/table.h"
#include "core/rng.h"

enum { USERS = 400, SEEDS = 5 };

static mtf_compare_result results[SEEDS], references[SEEDS];
static const mtf_compare_result *mine[SEEDS], *theirs[SEEDS];

static void make_result(mtf_compare_result *result, uint64_t seed, uint32_t stream, float more)
{
    mtf_rng user = mtf_rng_of(seed, 1), own = mtf_rng_of(seed, stream);
    *result = (mtf_compare_result){.users = USERS,
                                   .gauc = 0.6 + 0.01 * mtf_rng_normal(&own),
                                   .gauc_low = 0.5,
                                   .gauc_high = 0.7,
                                   .train_seconds = 2 * (double)seed,
                                   .rounds = 1};
    result->days = calloc(USERS, sizeof *result->days);
    result->drift = calloc(1, sizeof *result->drift);
    assert_non_null(result->days);
    assert_non_null(result->drift);
    result->drift[0][3] = (double)seed;
    result->served.sessions = 10, result->served.reward = 10.0 * (double)seed;
    result->served.noise[40] = 5;
    for (int u = 0; u < USERS; u++) {
        const double of_user = 10 + mtf_rng_normal(&user), luck = 0.3 * mtf_rng_normal(&own);
        result->days[u] =
            (mtf_sim_days){more * (float)(of_user + luck), (float)(of_user - luck), more * 2.0f};
    }
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < SEEDS; i++) {
        make_result(&results[i], (uint64_t)i + 1, 2, 1.1f + 0.01f * (float)i);
        make_result(&references[i], (uint64_t)i + 1, 3, 1.0f);
        mine[i] = &results[i], theirs[i] = &references[i];
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < SEEDS; i++) {
        mtf_compare_result_fini(&results[i]);
        mtf_compare_result_fini(&references[i]);
    }
    return 0;
}

static mtf_compare_line make_line(uint32_t seeds, bool of_reference)
{
    mtf_err err = {0};
    mtf_compare_line line = {0};
    mtf_assert_ok(mtf_compare_line_make(of_reference ? theirs : mine, theirs, seeds, &line, &err),
                  &err);
    free(line.drift);
    line.drift = NULL;
    return line;
}

/** Percent that the seed's users consumed more. */
static double more_valid(int seed)
{
    double a = 0, b = 0;
    for (int u = 0; u < USERS; u++)
        a += (double)results[seed].days[u].valid, b += (double)references[seed].days[u].valid;
    return 100 * (a - b) / b;
}

static void seeds_are_averaged_with_students_interval(void **state)
{
    (void)state;
    const mtf_compare_line line = make_line(SEEDS, false);
    double mean = 0, square = 0, gauc = 0;
    for (int i = 0; i < SEEDS; i++) mean += more_valid(i) / SEEDS, gauc += results[i].gauc / SEEDS;
    for (int i = 0; i < SEEDS; i++) square += pow(more_valid(i) - mean, 2);
    const double half = 2.776 * sqrt(square / (SEEDS - 1) / SEEDS); /* t of 4 degrees */
    mtf_assert_close(line.valid.value, mean, 1e-9, 0);
    mtf_assert_close(line.valid.high - mean, half, 0.006, 0);
    mtf_assert_close(mean - line.valid.low, half, 0.006, 0);
    mtf_assert_close(line.gauc.value, gauc, 1e-12, 0);
    mtf_assert_close(line.value.value, 2 * 1.12, 1e-6, 0);
    mtf_assert_close(line.train_seconds, 6, 1e-12, 0);
    mtf_assert_close(line.learning_value, 3, 1e-12, 0);
    assert_int_equal(line.noise[40], 5 * SEEDS);
}

static void one_seed_has_the_users_interval(void **state)
{
    (void)state;
    const mtf_compare_line line = make_line(1, false);
    const mtf_sim_days *a = results[0].days, *b = references[0].days;
    double sum = 0, square = 0;
    for (int u = 0; u < USERS; u++) sum += (double)b[u].valid;
    const double ratio = 1 + more_valid(0) / 100;
    for (int u = 0; u < USERS; u++)
        square += pow((double)a[u].valid - ratio * (double)b[u].valid, 2);
    const double half = 1.96 * 100 * sqrt(square) / sum;
    mtf_assert_close(line.valid.value, more_valid(0), 1e-9, 0);
    mtf_assert_close((line.valid.high - line.valid.low) / 2, half, 0.1, 0);
    mtf_assert_close(line.gauc.low, 0.5, 0, 0);
    mtf_assert_close(line.gauc.high, 0.7, 0, 0);
}

static void the_reference_is_its_own(void **state)
{
    (void)state;
    for (uint32_t seeds = 1; seeds <= SEEDS; seeds++) {
        const mtf_compare_line line = make_line(seeds, true);
        mtf_assert_close(line.valid.value, 0, 0, 0);
        mtf_assert_close(line.valid.low, 0, 0, 0);
        mtf_assert_close(line.duration.high, 0, 0, 0);
    }
}

static void a_mean_of_equals_is_sure(void **state)
{
    (void)state;
    double values[] = {3, 3, 3};
    const mtf_estimate mean = mtf_compare_mean(values, 3);
    mtf_assert_close(mean.low, 3, 0, 0);
    mtf_assert_close(mean.high, 3, 0, 0);
    assert_true(isnan(mtf_compare_mean(values, 1).low));
}

static void drift_is_of_seeds_that_came_to_the_end(void **state)
{
    (void)state;
    mtf_err err = {0};
    mtf_compare_line line = {0};
    results[1].rounds = 0;
    mtf_assert_ok(mtf_compare_line_make(mine, theirs, 3, &line, &err), &err);
    results[1].rounds = 1;
    assert_int_equal(line.rounds, 1);
    mtf_assert_close(line.drift[0][3], 2, 1e-12, 0); /* of 1 and 3 */
    free(line.drift);
}

static void assert_says(const mtf_buf *text, const char *words)
{
    if (!strstr((const char *)text->data, words))
        fail_msg("\"%s\" is not in: %s", words, (const char *)text->data);
}

static void it_is_printed_for_all(void **state)
{
    (void)state;
    mtf_compare_row row = {.name = "td3bc, \"tuned\"", .data = MTF_COMPARE_GAUSSIAN};
    mtf_compare_line line = {.row = &row,
                             .design = MTF_COMPARE_FAIR,
                             .seeds = 2,
                             .diverged = 1,
                             .gauc = {.value = 0.51234, .low = 0.5, .high = 0.6},
                             .valid = {.value = 1.5, .low = -1, .high = 4},
                             .duration = mtf_estimate_none(),
                             .value = {.value = 30, .low = 29, .high = 31}};
    mtf_compare_table table = {&line, 1, "es"};
    mtf_buf out = {0};
    mtf_compare_table_markdown(&table, &out);
    mtf_compare_table_csv(&table, &out);
    mtf_compare_table_json(&table, &out);
    mtf_buf_put_u8(&out, 0);
    assert_false(out.failed);
    assert_says(&out, "| fair | td3bc, \"tuned\" | 2, 1 diverged | 0.5123 (0.5000 to 0.6000) | "
                      "+1.50 (-1.00 to +4.00) | - |");
    assert_says(&out, "\"td3bc, \"\"tuned\"\"\",fair,2,0.51234,0.5,0.6,1.5,-1,4,,,,30,29,31,");
    assert_says(&out, "\"duration\": null");
    assert_says(&out, "\"data\": \"box\"");
    mtf_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_are_averaged_with_students_interval),
        cmocka_unit_test(one_seed_has_the_users_interval),
        cmocka_unit_test(the_reference_is_its_own),
        cmocka_unit_test(a_mean_of_equals_is_sure),
        cmocka_unit_test(drift_is_of_seeds_that_came_to_the_end),
        cmocka_unit_test(it_is_printed_for_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
