/** The estimators tell the truth where the truth is known: a world whose return is linear in the
 *  action, with users of correlated rows. Unbiased over repetitions, errors of the right size,
 *  frozen and clipped dimensions treated as the formula says. The seed is printed. */
#include "learner/evaluate.h"

#include "core/rng.h"
#include "support/mtf_test.h"

enum { S = 3, A = 4 };

typedef struct truth {
    double slope[A], user_noise, noise;
    float low, high; /* of every box, offsets */
} truth;

/** `users` of 1 to 5 rows each; G = 2 + s_0 - s_1 + slope . (a - bp) + noise of user and row. */
static mtf_cohort make_cohort(const truth *of, mtf_rng *rng, uint32_t users)
{
    const mtf_row_shape shape = {S, A, 1, 1, 0, 0};
    mtf_cohort cohort;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_init(&cohort, &shape, 5 * (size_t)users, 0, &err), &err);
    cohort.rows = 0;
    cohort.users = users;
    for (uint32_t u = 0; u < users; u++) {
        const double shared = of->user_noise * mtf_rng_normal(rng);
        for (uint64_t n = 1 + mtf_rng_below(rng, 5); n > 0; n--) {
            const size_t i = cohort.rows++;
            cohort.user[i] = u;
            cohort.eligible[i] = true;
            cohort.weight[i] = 1;
            for (size_t k = 0; k < S; k++) cohort.s[i * S + k] = (float)mtf_rng_normal(rng);
            double g = 2 + (double)cohort.s[i * S] - (double)cohort.s[i * S + 1] + shared +
                       of->noise * mtf_rng_normal(rng);
            for (size_t d = 0; d < A; d++) {
                const size_t at = i * A + d;
                cohort.bp[at] = (float)(mtf_rng_uniform(rng) - 0.5);
                cohort.lower[at] = of->low;
                cohort.upper[at] = of->high;
                const float step = of->low + (of->high - of->low) * (float)mtf_rng_uniform(rng);
                cohort.a[at] = cohort.bp[at] + step;
                g += of->slope[d] * ((double)cohort.a[at] - (double)cohort.bp[at]);
            }
            cohort.g[i] = g;
        }
    }
    return cohort;
}

static float *moved(const mtf_cohort *cohort, const float move[A])
{
    float *mu = malloc(cohort->rows * A * sizeof *mu);
    assert_non_null(mu);
    for (size_t i = 0; i < cohort->rows * A; i++) mu[i] = cohort->bp[i] + move[i % A];
    return mu;
}

/** The standard error of a mean over rows by the sandwich formula for clusters, from the terms
 *  themselves: another way to it than drawing users anew. All weights 1, boxes of equal width. */
static double sandwich(const mtf_cohort *cohort, const double *b, const float move[A], double mean)
{
    double square = 0, user = 0;
    for (size_t i = 0; i < cohort->rows; i++) {
        double slope = 0;
        for (size_t d = 0; d < A; d++) {
            const size_t at = i * A + d;
            const double low = cohort->lower[at], high = cohort->upper[at], width = high - low;
            const double middle = (double)cohort->bp[at] + (low + high) / 2;
            slope += 12 * ((double)cohort->a[at] - middle) * (double)move[d] / (width * width);
        }
        user += (cohort->g[i] - b[i]) * slope - mean;
        if (i + 1 < cohort->rows && cohort->user[i + 1] == cohort->user[i]) continue;
        square += user * user;
        user = 0;
    }
    return sqrt(square) / (double)cohort->rows;
}

static mtf_first_order estimate_and_check(const mtf_cohort *cohort, const mtf_cohort *training,
                                          const float move[A], int64_t draws, double *se)
{
    mtf_err err = {0};
    mtf_first_order out;
    mtf_baseline baseline = {0};
    float *mu = moved(cohort, move);
    const size_t rows = cohort->rows > training->rows ? cohort->rows : training->rows;
    float *q = calloc(rows, sizeof *q);
    double *b = calloc(cohort->rows, sizeof *b);
    assert_true(q && b);
    mtf_assert_ok(mtf_baseline_fit(training, q, &baseline, &err), &err);
    mtf_baseline_at(&baseline, cohort, q, b);
    mtf_assert_ok(mtf_first_order_make(cohort, mu, b, draws, 5, &out, &err), &err);
    if (se) *se = sandwich(cohort, b, move, out.gain.value);
    mtf_baseline_fini(&baseline);
    free(mu);
    free(q);
    free(b);
    return out;
}

static mtf_first_order estimate(const mtf_cohort *cohort, const mtf_cohort *training,
                                const float move[A], int64_t draws)
{
    return estimate_and_check(cohort, training, move, draws, NULL);
}

static void the_baseline_finds_what_the_state_explains(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(30), 1);
    const truth of = {.noise = 0.1, .low = -0.15f, .high = 0.15f};
    mtf_cohort cohort = make_cohort(&of, &rng, 2000);
    float *q = calloc(cohort.rows, sizeof *q);
    double *b = calloc(cohort.rows, sizeof *b);
    mtf_err err = {0};
    mtf_baseline baseline = {0};
    assert_true(q && b);
    mtf_assert_ok(mtf_baseline_fit(&cohort, q, &baseline, &err), &err);
    mtf_assert_close(baseline.beta[0], 2, 0, 0.02);
    mtf_assert_close(baseline.beta[1], 1, 0, 0.02);
    mtf_assert_close(baseline.beta[2], -1, 0, 0.02);
    mtf_assert_close(baseline.beta[3], 0, 0, 0.02);
    mtf_baseline_fini(&baseline);
    /* A q that explains all takes over. */
    for (size_t i = 0; i < cohort.rows; i++) q[i] = (float)(3 * cohort.g[i]);
    mtf_assert_ok(mtf_baseline_fit(&cohort, q, &baseline, &err), &err);
    mtf_baseline_at(&baseline, &cohort, q, b);
    double error = 0;
    for (size_t i = 0; i < cohort.rows; i++) error += fabs(b[i] - cohort.g[i]);
    assert_true(error / (double)cohort.rows < 0.05);
    mtf_baseline_fini(&baseline);
    mtf_cohort_fini(&cohort);
    free(q);
    free(b);
}

/** Over repetitions: mean estimate = truth within 4 of its errors; z - truth / se is standard: its
 *  deviation and its tails are those of a normal; the two errors agree. */
static void it_is_unbiased_with_errors_of_the_right_size(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(31), 2);
    const truth of = {
        .slope = {2, -1, 0.5, 0}, .user_noise = 0.5, .noise = 0.5, .low = -0.15f, .high = 0.15f};
    const float move[A] = {0.05f, -0.1f, 0, 0.1f};
    const double expected = 2 * 0.05 + 0.1;
    enum { TRIALS = 400 };
    mtf_cohort training = make_cohort(&of, &rng, 1000);
    double sum = 0, square = 0, t_square = 0, ratio = 0;
    int tails = 0, outside = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        mtf_cohort cohort = make_cohort(&of, &rng, 200);
        double se;
        const mtf_first_order out = estimate_and_check(&cohort, &training, move, 100, &se);
        const double error = out.gain.value - expected, t = error / out.gain.se;
        outside += expected < out.gain.low || expected > out.gain.high;
        sum += error, square += error * error, t_square += t * t;
        tails += fabs(t) > 1.96;
        ratio += out.gain.se / se / TRIALS;
        assert_int_equal(out.users, 200);
        mtf_cohort_fini(&cohort);
    }
    const double deviation = sqrt(square / TRIALS);
    mtf_assert_close(sum / TRIALS, 0, 0, 4 * deviation / sqrt(TRIALS));
    mtf_assert_close(sqrt(t_square / TRIALS), 1, 0, 0.2);
    assert_in_range(tails, 6, 44); /* 20 expected, 4 errors of 4.4 and a little for the bootstrap */
    assert_in_range(outside, 6, 44); /* of the percentile interval */
    mtf_assert_close(ratio, 1, 0, 0.05);
    mtf_cohort_fini(&training);
}

static void a_lopsided_box_is_measured_from_its_middle(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(32), 3);
    const truth of = {.slope = {3, 0, 0, 0}, .noise = 0.1, .low = -0.02f, .high = 0.15f};
    const float move[A] = {0.1f, 0, 0, 0};
    mtf_cohort cohort = make_cohort(&of, &rng, 4000);
    const mtf_first_order out = estimate(&cohort, &cohort, move, 50);
    mtf_assert_close(out.gain.value, 0.3, 0, 4 * out.gain.se);
    assert_true(out.gain.se < 0.02);
    mtf_assert_close(out.effect[0], out.gain.value, 1e-9, 1e-9);
    mtf_assert_close(out.drift[0], 0.1, 1e-5, 0);
    mtf_assert_close(out.drift[1], 0, 0, 1e-6);

    /* No baseline at all: noisier, and still without bias. */
    mtf_first_order bare;
    mtf_err err = {0};
    float *mu = moved(&cohort, move);
    double *b = calloc(cohort.rows, sizeof *b);
    assert_non_null(b);
    mtf_assert_ok(mtf_first_order_make(&cohort, mu, b, 50, 1, &bare, &err), &err);
    mtf_assert_close(bare.gain.value, 0.3, 0, 4 * bare.gain.se);
    assert_true(bare.gain.se > 2 * out.gain.se && bare.gain.se < 0.2);
    free(mu);
    free(b);
    mtf_cohort_fini(&cohort);
}

static void an_action_outside_counts_as_the_boxs_edge(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(33), 4);
    const truth of = {.slope = {3, 0, 0, 0}, .noise = 0.1, .low = -0.15f, .high = 0.15f};
    mtf_cohort cohort = make_cohort(&of, &rng, 1000);
    const mtf_first_order edge = estimate(&cohort, &cohort, (float[A]){0.15f, 0, 0, 0}, 20);
    const mtf_first_order far = estimate(&cohort, &cohort, (float[A]){0.5f, 0, 0, 0}, 20);
    const mtf_first_order near = estimate(&cohort, &cohort, (float[A]){0.19f, 0, 0, 0}, 20);
    mtf_assert_close(far.gain.value, edge.gain.value, 1e-5, 1e-6);
    mtf_assert_close(far.outside_share, 1.0 / A, 1e-12, 0);
    mtf_assert_close(near.outside_share, 0, 0, 0); /* within the margin */
    mtf_cohort_fini(&cohort);
}

/** Users have 1 to 5 rows; those of 4 and 5 lose what the others gain. */
static void parts_are_judged_alone(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(37), 8);
    const truth of = {.slope = {3, 0, 0, 0}, .noise = 0.1, .low = -0.15f, .high = 0.15f};
    const float move[A] = {0.1f, 0, 0, 0};
    mtf_cohort cohort = make_cohort(&of, &rng, 3000);
    for (size_t i = 0, end; i < cohort.rows; i = end) {
        for (end = i; end < cohort.rows && cohort.user[end] == cohort.user[i];) end++;
        cohort.first[i] = true;
        for (size_t k = i; k < end && end - i > 3; k++)
            cohort.g[k] -= 6 * ((double)cohort.a[k * A] - (double)cohort.bp[k * A]);
    }
    mtf_err err = {0};
    mtf_estimate parts[MTF_PARTS];
    float *mu = moved(&cohort, move);
    double *b = calloc(cohort.rows, sizeof *b);
    assert_non_null(b);
    mtf_assert_ok(mtf_parts_make(&cohort, mu, b, 100, 1, parts, &err), &err);
    const double expected[MTF_PARTS] = {
        [MTF_PART_LIGHT] = 0.3,
        [MTF_PART_HEAVY] = -0.3,
        [MTF_PART_FIRST] = 0.3 * (3 - 2) / 5,  /* a user each, of 1, 2, 3 and of 4, 5 rows */
        [MTF_PART_LATER] = 0.3 * (3 - 7) / 10, /* 0 + 1 + 2 rows and 3 + 4 */
    };
    for (mtf_part part = 0; part < MTF_PARTS; part++) {
        mtf_assert_close(parts[part].value, expected[part], 0, 4 * parts[part].se);
        assert_true(parts[part].se > 0 && parts[part].se < 0.1);
    }
    assert_int_equal(parts[MTF_PART_LIGHT].users + parts[MTF_PART_HEAVY].users, 3000);
    assert_int_equal(parts[MTF_PART_FIRST].rows, 3000);
    assert_int_equal(parts[MTF_PART_FIRST].rows + parts[MTF_PART_LATER].rows, cohort.rows);
    free(mu);
    free(b);
    mtf_cohort_fini(&cohort);

    cohort = make_cohort(&of, &rng, 20); /* too few to say anything of */
    mu = moved(&cohort, move);
    b = calloc(cohort.rows, sizeof *b);
    assert_non_null(b);
    mtf_assert_ok(mtf_parts_make(&cohort, mu, b, 100, 1, parts, &err), &err);
    for (mtf_part part = 0; part < MTF_PARTS; part++) assert_true(isnan(parts[part].z));
    free(mu);
    free(b);
    mtf_cohort_fini(&cohort);
}

static void frozen_dimensions_are_left_out(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(34), 5);
    const truth of = {.slope = {1, 1, 1, 1}, .noise = 0.1};
    mtf_cohort cohort = make_cohort(&of, &rng, 100); /* boxes of width 0 */
    const mtf_first_order out = estimate(&cohort, &cohort, (float[A]){0.1f, 0, 0, 0}, 20);
    mtf_assert_close(out.gain.value, 0, 0, 0);
    mtf_assert_close(out.gain.z, 0, 0, 0);
    mtf_cohort_fini(&cohort);
}

static void without_eligible_rows_there_is_no_estimate(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(35), 6);
    const truth of = {.noise = 0.1, .low = -0.15f, .high = 0.15f};
    mtf_cohort cohort = make_cohort(&of, &rng, 10);
    for (size_t i = 0; i < cohort.rows; i++) cohort.eligible[i] = false;
    const mtf_first_order out = estimate(&cohort, &cohort, (float[A]){0.1f, 0, 0, 0}, 20);
    assert_true(isnan(out.gain.value));
    assert_int_equal(out.rows, 0);
    mtf_cohort_fini(&cohort);
}

static void skill_is_found_where_there_is_some(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(36), 7);
    const truth of = {.user_noise = 0.5, .noise = 1, .low = -0.15f, .high = 0.15f};
    mtf_cohort cohort = make_cohort(&of, &rng, 500);
    float *q = calloc(cohort.rows, sizeof *q);
    mtf_estimate skill;
    mtf_err err = {0};
    assert_non_null(q);
    for (size_t i = 0; i < cohort.rows; i++) q[i] = cohort.s[i * S]; /* half of what explains G */
    mtf_assert_ok(mtf_skill_make(&cohort, q, 100, 1, &skill, &err), &err);
    mtf_assert_close(skill.value, 1 / sqrt(2 + 0.25 + 1), 0, 0.1); /* cov 1, var 3.25 */
    assert_true(skill.z > 8);
    int high = 0;
    for (uint64_t trial = 0; trial < 100; trial++) {
        for (size_t i = 0; i < cohort.rows; i++) q[i] = (float)mtf_rng_normal(&rng);
        mtf_assert_ok(mtf_skill_make(&cohort, q, 100, trial, &skill, &err), &err);
        high += skill.z > 2;
    }
    assert_in_range(high, 0, 9); /* 2.3 expected */
    for (size_t i = 0; i < cohort.rows; i++) q[i] = 1;
    mtf_assert_ok(mtf_skill_make(&cohort, q, 20, 1, &skill, &err), &err);
    mtf_assert_close(skill.value, 0, 0, 0);
    free(q);
    mtf_cohort_fini(&cohort);
}

/* The same rows as lists of up to LIST items that all had the row's action. */
enum { LIST = 3 };

static mtf_cohort as_lists(const mtf_cohort *rows)
{
    const mtf_row_shape shape = mtf_row_shape_of(S, A, 1, 1, LIST, 0);
    mtf_cohort lists;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_init(&lists, &shape, rows->rows, LIST * rows->rows, &err), &err);
    lists.users = rows->users;
    for (size_t i = 0; i < rows->rows; i++) {
        const size_t items = 1 + i % LIST;
        const float *const from[] = {rows->a, rows->bp, rows->lower, rows->upper};
        float *const to[] = {lists.a, lists.bp, lists.lower, lists.upper};
        lists.user[i] = rows->user[i];
        lists.eligible[i] = true;
        lists.weight[i] = 1;
        lists.g[i] = rows->g[i];
        lists.item_first[i + 1] = lists.item_first[i] + items;
        memcpy(lists.s + i * shape.state_dim, rows->s + i * S, S * sizeof(float));
        for (size_t j = 0; j < items; j++)
            for (int side = 0; side < 4; side++)
                memcpy(to[side] + (i * LIST + j) * A, from[side] + i * A, A * sizeof(float));
    }
    return lists;
}

static mtf_first_order estimate_lists(const mtf_cohort *lists, const float *mu, const double *b)
{
    mtf_err err = {0};
    mtf_first_order out;
    mtf_assert_ok(mtf_first_order_make(lists, mu, b, 50, 5, &out, &err), &err);
    return out;
}

static void items_drawn_together_are_judged_by_their_mean_move(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(37), 1);
    const truth of = {.slope = {1, -2, 0, 3}, .noise = 0.3, .low = -0.15f, .high = 0.15f};
    const float move[A] = {0.05f, -0.1f, 0.02f, 0.08f};
    mtf_cohort rows = make_cohort(&of, &rng, 400), lists = as_lists(&rows);
    float *mu = moved(&rows, move), *each = calloc(rows.rows * LIST * A, sizeof *each);
    double *b = calloc(rows.rows, sizeof *b);
    mtf_err err = {0};
    mtf_first_order one;
    assert_true(each && b);
    for (size_t i = 0; i < rows.rows; i++) {
        const size_t items = lists.item_first[i + 1] - lists.item_first[i];
        b[i] = 2;
        for (size_t j = 0; j < items; j++) /* apart in their moves, the row's move on the mean */
            for (size_t d = 0; d < A; d++) {
                const float apart = items == 1 ? 0 : j == 0 ? 0.01f : j == 1 ? -0.01f : 0;
                each[(i * LIST + j) * A + d] = mu[i * A + d] + apart;
            }
    }
    mtf_assert_ok(mtf_first_order_make(&rows, mu, b, 50, 5, &one, &err), &err);
    const mtf_first_order list = estimate_lists(&lists, each, b);
    assert_int_equal(list.apart, 0);
    mtf_assert_close(list.gain.value, one.gain.value, 1e-4, 1e-5);
    mtf_assert_close(list.gain.se, one.gain.se, 1e-3, 1e-5);
    for (size_t d = 0; d < A; d++) {
        mtf_assert_close(list.drift[d], (double)move[d], 1e-4, 1e-6);
        mtf_assert_close(list.effect[d], one.effect[d], 1e-4, 1e-5);
    }
    assert_true(list.outside_share == 0); /* places without an item are no dimensions */
    free(mu), free(each), free(b);
    mtf_cohort_fini(&rows), mtf_cohort_fini(&lists);
}

static void items_drawn_apart_have_no_estimate(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(38), 1);
    const truth of = {.slope = {1, 1, 1, 1}, .noise = 0.3, .low = -0.15f, .high = 0.15f};
    mtf_cohort rows = make_cohort(&of, &rng, 100), lists = as_lists(&rows);
    float *mu = calloc(rows.rows * LIST * A, sizeof *mu);
    double *b = calloc(rows.rows, sizeof *b);
    assert_true(mu && b);
    lists.a[(2 * LIST + 1) * A] += 0.01f; /* the second item of one row */
    const mtf_first_order list = estimate_lists(&lists, mu, b);
    assert_int_equal(list.apart, 1);
    assert_true(isnan(list.gain.value) && isnan(list.gain.z));
    assert_int_equal(list.rows, (int64_t)rows.rows);
    free(mu), free(b);
    mtf_cohort_fini(&rows), mtf_cohort_fini(&lists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_baseline_finds_what_the_state_explains),
        cmocka_unit_test(it_is_unbiased_with_errors_of_the_right_size),
        cmocka_unit_test(a_lopsided_box_is_measured_from_its_middle),
        cmocka_unit_test(an_action_outside_counts_as_the_boxs_edge),
        cmocka_unit_test(parts_are_judged_alone),
        cmocka_unit_test(frozen_dimensions_are_left_out),
        cmocka_unit_test(without_eligible_rows_there_is_no_estimate),
        cmocka_unit_test(skill_is_found_where_there_is_some),
        cmocka_unit_test(items_drawn_together_are_judged_by_their_mean_move),
        cmocka_unit_test(items_drawn_apart_have_no_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
