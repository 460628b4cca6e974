/** The estimators on the simulator, where the truth is worked out (known_truth.h): a small version
 *  of bench/estimators.c. Two dimensions explored, so that importance weights have something to
 *  weigh. Over a few runs each metric's mean lies within its errors of the truth where its header
 *  promises no bias, and intervals miss no more often than chance would have it. The seed is
 *  printed. */
#include "learner/known_truth.h"

#include "support/mtf_test.h"

enum { RUNS = 12, USERS = 300, TRUTH_USERS = 2500 };

typedef struct record {
    const char *name;
    double sum, square;
    int missed;
} record;

static mtf_scorecard make(const known_world *world, mtf_pool *pool, uint64_t seed, uint64_t steps,
                          uint32_t refits, const mtf_cohort *training)
{
    mtf_err err = {0};
    mtf_cohort cohort;
    mtf_scorecard out;
    mtf_assert_ok(known_cohort(world, seed, USERS, &cohort, &err), &err);
    mtf_scorecard_config config = {.judged = &cohort,
                                   .training = training,
                                   .table = &world->table,
                                   .smoothing = {.half_width = world->half_width},
                                   .cap = 1e6,
                                   .draws = 200,
                                   .refits = refits,
                                   .fqe = mtf_fqe_config_default(),
                                   .seed = seed,
                                   .fits = {.pool = pool}};
    config.fqe.steps = steps;
    config.fqe.hidden = 16;
    config.fqe.batch = 64;
    config.fqe.rate = 2e-3;
    config.fqe.alpha = 0.05;
    mtf_assert_ok(mtf_scorecard_make(&config, &out, &err), &err);
    mtf_cohort_fini(&cohort);
    return out;
}

/** Truths of rare luck: 4 standard errors of the mean of the runs and of the truth together. */
static void estimates_centre_on_the_truth(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(70) * 1000;
    known_world world;
    known_truth truth;
    mtf_pool *pool;
    mtf_err err = {0};
    mtf_assert_ok(known_world_open(&world, 2, 0.05, 0.08, &err), &err);
    mtf_assert_ok(mtf_pool_new(&pool, 2, &err), &err);
    mtf_assert_ok(known_truth_make(&world, seed, TRUTH_USERS, &truth, &err), &err);
    record records[] = {{.name = "logged.reward"},     {.name = "logged.return"},
                        {.name = "first_order.gain"},  {.name = "ncis.value"},
                        {.name = "ncis.gain"},         {.name = "doubly_robust.value"},
                        {.name = "doubly_robust.gain"}};
    const size_t count = sizeof records / sizeof *records;
    int missed = 0;
    for (uint64_t run = 1; run <= RUNS; run++) {
        const mtf_scorecard found = make(&world, pool, seed + run, 100, 0, NULL);
        assert_int_equal(found.users, USERS);
        assert_true(found.support > 0.98 && found.support < 1.0001);
        for (size_t k = 0; k < count; k++) {
            const mtf_estimate *one = mtf_scorecard_find(&found, records[k].name);
            known_value known;
            assert_true(one && known_truth_find(&truth, records[k].name, &known));
            records[k].sum += one->value, records[k].square += one->value * one->value;
            missed += known.value < one->low || known.value > one->high;
        }
    }
    for (size_t k = 0; k < count; k++) {
        known_value known;
        known_truth_find(&truth, records[k].name, &known);
        const double mean = records[k].sum / RUNS;
        const double variance = (records[k].square / RUNS - mean * mean) / (RUNS - 1);
        const double error = sqrt(variance + known.se * known.se);
        print_message("%-20s truth %.4f, mean %.4f, error %.4f\n", records[k].name, known.value,
                      mean, error);
        mtf_assert_close(mean, known.value, 0, 4.5 * error);
    }
    assert_in_range(missed, 0, 20); /* of 84, of which 4 expected; those of a run hang together */
    mtf_pool_free(pool);
    known_world_close(&world);
}

/** With a cohort to fit on apart from the one that is judged, and with networks throughout. */
static void all_metrics_come_with_intervals(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(71) * 1000;
    known_world world;
    known_truth truth;
    mtf_cohort training;
    mtf_pool *pool;
    mtf_err err = {0};
    mtf_assert_ok(known_world_open(&world, 10, 0.05, 0.15, &err), &err);
    mtf_assert_ok(mtf_pool_new(&pool, 2, &err), &err);
    mtf_assert_ok(known_cohort(&world, seed + 1, 2 * USERS, &training, &err), &err);
    mtf_assert_ok(known_truth_make(&world, seed, TRUTH_USERS, &truth, &err), &err);
    const mtf_scorecard found = make(&world, pool, seed, 400, 3, &training);
    const mtf_scorecard again = make(&world, pool, seed, 400, 3, &training);
    assert_int_equal(found.count, 18);
    for (size_t i = 0; i < found.count; i++) {
        const mtf_estimate *one = &found.scores[i].estimate;
        assert_true(isfinite(one->value) && one->low < one->value && one->value < one->high);
        assert_true(one->se > 0 && one->rows >= one->users && one->users > USERS / 2);
        assert_memory_equal(one, &again.scores[i].estimate, sizeof *one);
    }
    const double fqe = mtf_scorecard_find(&found, "fqe.value")->value;
    mtf_assert_close(fqe, truth.value.value, 0.1, 0); /* of 27: models are models */
    assert_true(mtf_scorecard_find(&found, "conservative.value")->value < fqe);
    assert_null(mtf_scorecard_find(&found, "nothing"));
    /* A tenth of the policy in the boxes: the model's own error is most of it. */
    const mtf_scorecard once = make(&world, pool, seed, 400, 0, &training);
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "doubly_robust.gain" : "doubly_robust.value";
        const mtf_estimate *alone = mtf_scorecard_find(&once, name);
        const mtf_estimate *both = mtf_scorecard_find(&found, name);
        mtf_assert_close(both->value, alone->value, 0, 0);
        assert_true(both->se > 1.2 * alone->se &&
                    both->high - both->value > alone->high - alone->value);
    }
    const mtf_scorecard bare = make(&world, pool, seed, 0, 3, &training);
    assert_int_equal(bare.count, 12);
    assert_null(mtf_scorecard_find(&bare, "fqe.value"));
    mtf_cohort_fini(&training);
    mtf_pool_free(pool);
    known_world_close(&world);
}

static void without_a_row_there_is_no_scorecard(void **state)
{
    (void)state;
    known_world world;
    mtf_cohort cohort;
    mtf_scorecard out;
    mtf_err err = {0};
    mtf_assert_ok(known_world_open(&world, 2, 0.05, 0.08, &err), &err);
    mtf_assert_ok(known_cohort(&world, 1, 5, &cohort, &err), &err);
    for (size_t i = 0; i < cohort.rows; i++) cohort.logged[i] = cohort.eligible[i] = false;
    const mtf_scorecard_config config = {
        .judged = &cohort, .table = &world.table, .smoothing = {.half_width = 0.1}, .draws = 10};
    assert_int_equal(mtf_scorecard_make(&config, &out, &err), MTF_SKIP);
    mtf_cohort_fini(&cohort);
    known_world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_centre_on_the_truth),
        cmocka_unit_test(all_metrics_come_with_intervals),
        cmocka_unit_test(without_a_row_there_is_no_scorecard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
