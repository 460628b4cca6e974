/** NCIS and the doubly robust estimator against their formulas written out another way, and against
 *  the truth of a world whose reward is linear in the action: unbiased where the logged box holds
 *  the policy's, with intervals that cover; off by a known amount where it does not. The seed is
 *  printed. */
#include "learner/importance.h"

#include "core/rng.h"
#include "support/mtf_test.h"

enum { S = 2, A = 3 };

static const double slope[A] = {4, -2, 1};

/** `users` of 1 to 5 rows: r = 2 + s_0 + slope . (a - bp) + noise of user and row, a uniform in a
 *  box of +-0.15 about bp; sample weights 1 and 2. mu = bp + move. */
static mtf_cohort make_cohort(mtf_rng *rng, uint32_t users, const float move[A])
{
    const mtf_row_shape shape = {S, A, 1, 1, 0, 0};
    mtf_cohort cohort;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_init(&cohort, &shape, 5 * (size_t)users, 0, &err), &err);
    cohort.rows = 0;
    cohort.users = users;
    for (uint32_t u = 0; u < users; u++) {
        const double shared = 0.5 * mtf_rng_normal(rng);
        for (uint64_t n = 1 + mtf_rng_below(rng, 5); n > 0; n--) {
            const size_t i = cohort.rows++;
            cohort.user[i] = u;
            cohort.logged[i] = true;
            cohort.weight[i] = 1 + (float)(u % 2);
            for (size_t k = 0; k < S; k++) cohort.s[i * S + k] = (float)mtf_rng_normal(rng);
            cohort.r[i] = 2 + (double)cohort.s[i * S] + shared + 0.5 * mtf_rng_normal(rng);
            for (size_t d = 0; d < A; d++) {
                const size_t at = i * A + d;
                cohort.bp[at] = (float)(mtf_rng_uniform(rng) - 0.5);
                cohort.lower[at] = -0.15f, cohort.upper[at] = 0.15f;
                cohort.a[at] = cohort.bp[at] + (float)(0.3 * mtf_rng_uniform(rng) - 0.15);
                cohort.mu[at] = cohort.bp[at] + move[d];
                cohort.r[i] += slope[d] * (double)(cohort.a[at] - cohort.bp[at]);
            }
        }
    }
    return cohort;
}

static mtf_one_step ncis(const mtf_cohort *cohort, double h, double cap, int64_t draws)
{
    mtf_one_step out;
    mtf_err err = {0};
    const mtf_smoothing smoothing = {cohort->mu, h};
    mtf_assert_ok(mtf_ncis_make(cohort, &smoothing, cap, draws, 3, &out, &err), &err);
    return out;
}

/** With a model that knows the share `known` of what the action does. */
static mtf_one_step robust(const mtf_cohort *cohort, double h, double known, int64_t draws)
{
    mtf_one_step out;
    mtf_err err = {0};
    const mtf_smoothing smoothing = {cohort->mu, h};
    float *q = calloc(cohort->rows, sizeof *q), *q_policy = calloc(cohort->rows, sizeof *q);
    assert_true(q && q_policy);
    for (size_t i = 0; i < cohort->rows; i++) {
        double at_a = 2 + (double)cohort->s[i * S], at_mu = at_a;
        for (size_t d = 0; d < A; d++) {
            const size_t at = i * A + d;
            at_a += slope[d] * (double)(cohort->a[at] - cohort->bp[at]);
            at_mu += slope[d] * (double)(cohort->mu[at] - cohort->bp[at]);
        }
        q[i] = (float)(known * at_a), q_policy[i] = (float)(known * at_mu);
    }
    mtf_assert_ok(
        mtf_doubly_robust_make(cohort, &smoothing, 1e9, q, q_policy, draws, 3, &out, &err), &err);
    free(q);
    free(q_policy);
    return out;
}

/** The ratio from its definition, in corners of boxes and in long double. */
static double brute_ratio(const mtf_cohort *cohort, size_t i, double h)
{
    long double logged = 1, policy = 1;
    for (size_t d = 0; d < A; d++) {
        const size_t at = i * A + d;
        const long double a = cohort->a[at], bp = cohort->bp[at], mu = cohort->mu[at];
        const long double low = bp + cohort->lower[at], high = bp + cohort->upper[at];
        if (high - low < 1e-6L) continue;
        long double from = mu - h, to = mu + h;
        if (from < -1) from = -1;
        if (to > 1) to = 1;
        logged /= high - low;
        policy *= a < from || a > to ? 0 : 1 / (to - from);
    }
    return (double)(policy / logged);
}

/** Moves row i's dimension d to lie about `to`, and the policy a little further that way. */
static void move_to_edge(mtf_cohort *cohort, size_t i, size_t d, float to)
{
    const size_t at = i * A + d;
    cohort->a[at] += to - cohort->bp[at];
    cohort->bp[at] = to;
    cohort->mu[at] = to > 0 ? to + 0.05f : to - 0.05f;
}

static void they_equal_their_formulas(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(50), 1);
    for (int trial = 0; trial < 50; trial++) {
        mtf_cohort cohort = make_cohort(&rng, 40, (float[A]){0.1f, -0.05f, 0});
        for (size_t i = 0; i < cohort.rows; i++) {
            cohort.logged[i] = mtf_rng_uniform(&rng) < 0.8;
            if (i % 7 == 0) cohort.lower[i * A] = cohort.upper[i * A] = 0; /* frozen */
            if (i % 5 == 0) move_to_edge(&cohort, i, 1, 0.85f);
            if (i % 5 == 1) move_to_edge(&cohort, i, 1, -0.85f);
        }
        const double h = 0.05 + 0.2 * mtf_rng_uniform(&rng), cap = 3;
        double *rho = calloc(cohort.rows, sizeof *rho);
        assert_non_null(rho);
        const mtf_smoothing smoothing = {cohort.mu, h};
        mtf_importance(&cohort, &smoothing, rho);
        double won = 0, weights = 0, squares = 0, model = 0, samples = 0, served = 0;
        for (size_t i = 0; i < cohort.rows; i++) {
            if (!cohort.logged[i]) continue;
            const double expected = brute_ratio(&cohort, i, h), w = cohort.weight[i];
            mtf_assert_close(rho[i], expected, 1e-5, 0);
            const double capped = expected < cap ? expected : cap;
            won += w * capped * cohort.r[i], weights += w * capped;
            squares += w * capped * w * capped;
            model += w * (1 + expected * (cohort.r[i] - 1)), samples += w;
            served += w * cohort.r[i];
        }
        const mtf_one_step weighed = ncis(&cohort, h, cap, 0);
        mtf_assert_close(weighed.value.value, won / weights, 1e-5, 0);
        mtf_assert_close(weighed.gain.value, won / weights - served / samples, 1e-4, 1e-5);
        mtf_assert_close(weighed.effective, weights * weights / squares, 1e-5, 0);
        float *ones = malloc(cohort.rows * sizeof *ones);
        assert_non_null(ones);
        for (size_t i = 0; i < cohort.rows; i++) ones[i] = 1;
        mtf_one_step out;
        mtf_err err = {0};
        mtf_assert_ok(
            mtf_doubly_robust_make(&cohort, &smoothing, 1e9, ones, ones, 0, 1, &out, &err), &err);
        mtf_assert_close(out.value.value, model / samples, 1e-5, 1e-5);
        mtf_assert_close(out.gain.value, (model - served) / samples, 1e-4, 1e-4);
        free(ones);
        free(rho);
        mtf_cohort_fini(&cohort);
    }
}

static void draws_fill_the_smoothed_policys_box(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(51), 2);
    mtf_cohort cohort = make_cohort(&rng, 200, (float[A]){0.1f, 0, 0});
    cohort.mu[1] = 0.95f;
    cohort.lower[2] = cohort.upper[2] = 0;
    float *action = malloc(cohort.rows * A * sizeof *action);
    float *again = malloc(cohort.rows * A * sizeof *again);
    assert_true(action && again);
    const mtf_smoothing smoothing = {cohort.mu, 0.1};
    double sum = 0, square = 0;
    for (uint64_t draw = 0; draw < 50; draw++) {
        mtf_smoothing_draw(&cohort, &smoothing, 4, draw, action);
        assert_true(action[1] >= 0.85f && action[1] <= 1);
        assert_true(action[2] == cohort.a[2]);
        for (size_t i = 0; i < cohort.rows; i++) {
            const double off = (double)(action[i * A] - cohort.mu[i * A]);
            assert_true(fabs(off) <= 0.1 + 1e-6);
            sum += off, square += off * off;
        }
    }
    const double n = 50 * (double)cohort.rows;
    mtf_assert_close(sum / n, 0, 0, 4 * 0.1 / sqrt(3 * n));
    mtf_assert_close(square / n, 0.01 / 3, 0.03, 0);
    mtf_smoothing_draw(&cohort, &smoothing, 4, 49, again);
    assert_memory_equal(action, again, cohort.rows * A * sizeof *action);
    free(action);
    free(again);
    mtf_cohort_fini(&cohort);
}

/** Means over trials of what an estimator was off by, and how often its interval missed. */
typedef struct record {
    double sum, square, se;
    int missed;
} record;

static void note(record *of, const mtf_estimate *estimate, double truth)
{
    const double off = estimate->value - truth;
    of->sum += off, of->square += off * off, of->se += estimate->se;
    of->missed += truth < estimate->low || truth > estimate->high;
}

static void both_are_unbiased_where_the_box_holds_the_policy(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(52), 3);
    enum { TRIALS = 200 };
    const float move[A] = {0.05f, -0.05f, 0.02f};
    const double truth = 2 + 0.2 + 0.1 + 0.02, gain = truth - 2;
    record of_ncis = {0}, of_poor = {0}, of_good = {0}, of_gain = {0};
    for (int trial = 0; trial < TRIALS; trial++) {
        mtf_cohort cohort = make_cohort(&rng, 300, move);
        const mtf_one_step weighed = ncis(&cohort, 0.1, 1e9, 200);
        const mtf_one_step poor = robust(&cohort, 0.1, 0, 200), good = robust(&cohort, 0.1, 1, 200);
        mtf_assert_close(weighed.support, 1, 1e-6, 0);
        mtf_assert_close(weighed.effective, 0.3 * (double)cohort.rows, 0.4, 0); /* (2/3)^3 */
        note(&of_ncis, &weighed.value, truth);
        note(&of_poor, &poor.value, truth);
        note(&of_good, &good.value, truth);
        note(&of_gain, &good.gain, gain);
        mtf_cohort_fini(&cohort);
    }
    const record *const all[] = {&of_ncis, &of_poor, &of_good, &of_gain};
    for (size_t k = 0; k < 4; k++) {
        const double deviation = sqrt(all[k]->square / TRIALS);
        mtf_assert_close(all[k]->sum / TRIALS, 0, 0, 4 * deviation / sqrt(TRIALS));
        assert_in_range(all[k]->missed, 2, 24); /* 10 expected */
    }
    assert_true(of_good.se < of_ncis.se && of_ncis.se < of_poor.se);
}

static void beyond_the_box_each_does_what_its_header_says(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(53), 4);
    const float move[A] = {0.15f, 0, 0}; /* half of the policy's box lies outside, h = 0.15 */
    mtf_cohort cohort = make_cohort(&rng, 20000, move);
    const mtf_one_step weighed = ncis(&cohort, 0.15, 1e9, 100);
    const mtf_one_step blind = robust(&cohort, 0.15, 0, 100);
    const mtf_one_step knows = robust(&cohort, 0.15, 1, 100);
    mtf_assert_close(weighed.support, 0.5, 1e-5, 0);
    /* NCIS: the half inside, [0, 0.15], its middle */
    mtf_assert_close(weighed.gain.value, 4 * 0.075, 0, 4 * weighed.gain.se);
    assert_true(weighed.gain.se < 0.05);
    /* doubly robust: a model of 0 says 0 of the half outside; the true one says all */
    mtf_assert_close(blind.value.value, (2 + 4 * 0.075) / 2, 0, 4 * blind.value.se);
    mtf_assert_close(knows.value.value, 2 + 4 * 0.15, 0, 4 * knows.value.se);
    mtf_cohort_fini(&cohort);
}

static void no_overlap_is_no_estimate(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(54), 5);
    mtf_cohort cohort = make_cohort(&rng, 50, (float[A]){0.4f, 0, 0});
    const mtf_one_step weighed = ncis(&cohort, 0.1, 10, 50);
    assert_true(isnan(weighed.value.value) && isnan(weighed.value.low));
    mtf_assert_close(weighed.support, 0, 0, 0);
    mtf_assert_close(weighed.effective, 0, 0, 0);
    mtf_cohort_fini(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_equal_their_formulas),
        cmocka_unit_test(draws_fill_the_smoothed_policys_box),
        cmocka_unit_test(both_are_unbiased_where_the_box_holds_the_policy),
        cmocka_unit_test(beyond_the_box_each_does_what_its_header_says),
        cmocka_unit_test(no_overlap_is_no_estimate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
