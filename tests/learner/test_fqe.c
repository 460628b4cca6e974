/** Fitted Q evaluation finds values that can be worked out by hand: a chain of two states under a
 *  policy that was not the one that logged; the conservative form's own optimum; the reward itself
 *  with gamma 0. Its intervals hold the truth, its results do not depend on threads, and every
 *  choice of users is honoured. The seed is printed. */
#include "learner/fqe.h"

#include "core/rng.h"
#include "support/mtf_test.h"

#define GAMMA 0.9
#define ENDS  0.3

/** The chain: s is -1 or 1, r = s + a + noise, the next state is 1 with chance 0.5 + 0.3 a, and the
 *  session ends with chance 0.3. Logged: a uniform in [-1,1]. Evaluated: mu(s) = 0.5 s. */
static void true_values(double value[2])
{
    const double keep = GAMMA * (1 - ENDS);
    /* V(s) = s + mu + keep (p V(1) + (1 - p) V(-1)), p = 0.5 + 0.15 s */
    const double p_low = 0.35, p_high = 0.65;
    const double a = 1 - keep * (1 - p_low), b = -keep * p_low;   /* of V(-1), V(1) at s = -1 */
    const double c = -keep * (1 - p_high), d = 1 - keep * p_high; /* at s = 1 */
    value[0] = (-1.5 * d - b * 1.5) / (a * d - b * c);
    value[1] = (a * 1.5 + c * 1.5) / (a * d - b * c);
}

static mtf_cohort make_chain(mtf_rng *rng, uint32_t users, double noise)
{
    const mtf_row_shape shape = {1, 1, 1, 1, 0, 0};
    const size_t room = 40 * (size_t)users + 100;
    mtf_cohort cohort;
    mtf_err err = {0};
    mtf_assert_ok(mtf_cohort_init(&cohort, &shape, room, 0, &err), &err);
    cohort.rows = 0;
    cohort.users = users;
    for (uint32_t u = 0; u < users; u++) {
        float s = mtf_rng_uniform(rng) < 0.5 ? -1 : 1;
        for (bool first = true, done = false; !done; first = false) {
            const size_t i = cohort.rows++;
            assert_true(i < room);
            const double a = 2 * mtf_rng_uniform(rng) - 1;
            done = mtf_rng_uniform(rng) < ENDS;
            cohort.user[i] = u;
            cohort.first[i] = first, cohort.done[i] = done, cohort.next[i] = !done;
            cohort.logged[i] = cohort.eligible[i] = true;
            cohort.weight[i] = 1;
            cohort.s[i] = s, cohort.a[i] = (float)a, cohort.mu[i] = 0.5f * s;
            cohort.lower[i] = -1, cohort.upper[i] = 1;
            cohort.r[i] = (double)s + a + noise * mtf_rng_normal(rng);
            s = mtf_rng_uniform(rng) < 0.5 + 0.3 * a ? 1 : -1;
        }
    }
    for (size_t i = cohort.rows; i-- > 0;)
        cohort.g[i] = cohort.r[i] + (cohort.next[i] ? GAMMA * cohort.g[i + 1] : 0);
    return cohort;
}

static mtf_fqe_config small(void)
{
    mtf_fqe_config config = mtf_fqe_config_default();
    config.hidden = 16;
    config.batch = 128;
    config.steps = 1500;
    config.rate = 2e-3;
    config.seed = 1;
    return config;
}

static mtf_fqe *fit(const mtf_fqe_config *config, const mtf_cohort *cohort, const uint32_t *times)
{
    mtf_fqe *fqe;
    mtf_err err = {0};
    mtf_assert_ok(mtf_fqe_new(config, cohort->state_dim, cohort->action_dim, &fqe, &err), &err);
    mtf_assert_ok(mtf_fqe_fit(fqe, cohort, times, &err), &err);
    return fqe;
}

static double value_at(mtf_fqe *fqe, float s, float a)
{
    float q;
    mtf_fqe_value(fqe, 1, &s, &a, &q);
    return (double)q;
}

static void it_finds_the_values_of_a_policy_that_did_not_log(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(60), 1);
    mtf_cohort cohort = make_chain(&rng, 3000, 0.5);
    const mtf_fqe_config config = small();
    double value[2];
    true_values(value);
    mtf_fqe *fqe = fit(&config, &cohort, NULL);
    mtf_assert_close(value_at(fqe, -1, -0.5f), value[0], 0, 0.2);
    mtf_assert_close(value_at(fqe, 1, 0.5f), value[1], 0, 0.2);
    /* Q(s, a) = s + a + keep ((0.5 + 0.3 a) V(1) + (0.5 - 0.3 a) V(-1)) */
    const double slope = 1 + GAMMA * (1 - ENDS) * 0.3 * (value[1] - value[0]);
    mtf_assert_close(value_at(fqe, 1, 0.6f) - value_at(fqe, 1, -0.6f), 1.2 * slope, 0.1, 0);
    /* What was logged is worth less from state 1 on than the policy that stays there. */
    double logged = 0, count = 0;
    for (size_t i = 0; i < cohort.rows; i++)
        if (cohort.first[i] && cohort.s[i] > 0) logged += cohort.g[i], count++;
    assert_true(value[1] - logged / count > 0.5);
    mtf_fqe_free(fqe);
    mtf_cohort_fini(&cohort);
}

static void without_a_future_it_is_a_regression_of_the_reward(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(61), 2);
    mtf_cohort cohort = make_chain(&rng, 2000, 0.1);
    mtf_fqe_config config = small();
    config.gamma = 0;
    for (size_t i = 0; i < cohort.rows; i++) { /* a bowl */
        const double a = cohort.a[i];
        cohort.r[i] = 3 - 2 * (a - 0.3) * (a - 0.3) + (double)cohort.s[i];
    }
    mtf_fqe *fqe = fit(&config, &cohort, NULL);
    for (int k = -8; k <= 8; k++) {
        const double a = 0.1 * k;
        mtf_assert_close(value_at(fqe, 1, (float)a), 4 - 2 * (a - 0.3) * (a - 0.3), 0, 0.15);
        mtf_assert_close(value_at(fqe, -1, (float)a), 2 - 2 * (a - 0.3) * (a - 0.3), 0, 0.15);
    }
    mtf_fqe_free(fqe);
    mtf_cohort_fini(&cohort);
}

/** One state, two actions, gamma 0, the policy takes action 1, which a share p of rows has. Where
 *  the slope of alpha mean(Q(1) - Q(a)) + 1/2 mean (Q - r)^2 is zero, in units of the reward's
 *  deviation: Q(1) = r(1) - alpha (1 - p) / p, Q(0) = r(0) + alpha. */
static void the_conservative_form_has_its_own_optimum(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(62), 3);
    mtf_cohort cohort = make_chain(&rng, 1000, 0);
    double ones = 0, n = (double)cohort.rows, sum = 0, square = 0;
    for (size_t i = 0; i < cohort.rows; i++) {
        const bool one = mtf_rng_uniform(&rng) < 0.25;
        cohort.s[i] = 0, cohort.a[i] = one, cohort.mu[i] = 1;
        cohort.r[i] = one ? 5 : 2;
        ones += one, sum += cohort.r[i], square += cohort.r[i] * cohort.r[i];
    }
    const double p = ones / n, unit = sqrt(square / n - sum / n * sum / n);
    for (int k = 0; k < 2; k++) {
        mtf_fqe_config config = small();
        config.gamma = 0;
        config.alpha = k * 0.1;
        config.batch = 1024;
        mtf_fqe *fqe = fit(&config, &cohort, NULL);
        mtf_assert_close(value_at(fqe, 0, 1), 5 - unit * config.alpha * (1 - p) / p, 0, 0.04);
        mtf_assert_close(value_at(fqe, 0, 0), 2 + unit * config.alpha, 0, 0.04);
        mtf_fqe_free(fqe);
    }
    mtf_cohort_fini(&cohort);
}

static void users_count_as_often_as_they_are_told(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(63), 4);
    mtf_cohort cohort = make_chain(&rng, 400, 0.1);
    mtf_fqe_config config = small();
    config.gamma = 0;
    config.steps = 400;
    uint32_t times[400] = {0};
    for (size_t i = 0; i < cohort.rows; i++) cohort.r[i] = cohort.user[i] < 200 ? 1 : 7;
    for (int u = 0; u < 200; u++) times[u] = 2;
    mtf_fqe *fqe = fit(&config, &cohort, times);
    mtf_assert_close(value_at(fqe, 1, 0), 1, 0, 0.1); /* the others count 0 times */
    mtf_err err = {0};
    memset(times, 0, sizeof times);
    assert_int_equal(mtf_fqe_fit(fqe, &cohort, times, &err), MTF_SKIP);
    mtf_fqe_free(fqe);
    mtf_cohort_fini(&cohort);
}

/** A view of the cohort in which only users of one half are logged. */
static mtf_cohort half_of(const mtf_cohort *cohort, uint32_t half, bool *flags)
{
    mtf_cohort view = *cohort;
    for (size_t i = 0; i < cohort->rows; i++) flags[i] = cohort->user[i] % 2 == half;
    view.logged = view.eligible = flags;
    return view;
}

static mtf_session_value estimate(const mtf_fqe_config *config, const mtf_fold *folds, size_t count,
                                  uint32_t refits, uint32_t threads)
{
    mtf_session_value out;
    mtf_pool *pool;
    mtf_err err = {0};
    mtf_assert_ok(mtf_pool_new(&pool, threads, &err), &err);
    mtf_assert_ok(
        mtf_fqe_estimate(config, folds, count, refits, &(mtf_fits){.pool = pool}, &out, &err),
        &err);
    mtf_pool_free(pool);
    return out;
}

static void threads_change_nothing(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(64), 5);
    mtf_cohort cohort = make_chain(&rng, 300, 0.5);
    bool *flags = malloc(2 * cohort.rows);
    assert_non_null(flags);
    const mtf_cohort even = half_of(&cohort, 0, flags);
    const mtf_cohort odd = half_of(&cohort, 1, flags + cohort.rows);
    const mtf_fold folds[] = {{&even, &odd}, {&odd, &even}};
    mtf_fqe_config config = small();
    config.steps = 200;
    const mtf_session_value one = estimate(&config, folds, 2, 3, 1);
    const mtf_session_value three = estimate(&config, folds, 2, 3, 3);
    assert_memory_equal(&one, &three, sizeof one);
    assert_int_equal(one.value.users, 300);
    assert_int_equal(one.value.rows, 300);
    assert_true(one.value.se > 0);
    const mtf_session_value bare = estimate(&config, folds, 2, 0, 1);
    mtf_assert_close(bare.value.value, one.value.value, 0, 0);
    assert_true(isnan(bare.value.low) && isnan(bare.value.se));
    free(flags);
    mtf_cohort_fini(&cohort);
}

/** With the reward alone to tell, sessions begin in a state that brings 1 and go on in one that
 *  brings 5; every third session's end is not known. */
static void only_first_states_are_judged(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(67), 8);
    mtf_cohort cohort = make_chain(&rng, 300, 0);
    int64_t whole = 0;
    for (size_t i = 0; i < cohort.rows; i++) {
        cohort.s[i] = cohort.first[i] ? 1 : -1;
        cohort.r[i] = cohort.first[i] ? 1 : 5;
        cohort.eligible[i] = cohort.user[i] % 3 != 0;
        cohort.g[i] = cohort.eligible[i] ? 4 : 100;
        whole += cohort.first[i] && cohort.eligible[i];
    }
    mtf_fqe_config config = small();
    config.gamma = 0;
    config.steps = 500;
    const mtf_fold fold = {&cohort, &cohort};
    const mtf_session_value out = estimate(&config, &fold, 1, 2, 1);
    mtf_assert_close(out.value.value, 1, 0, 0.1);
    mtf_assert_close(out.gain.value, 1 - 4, 0, 0.1);
    assert_int_equal(out.value.rows, 300);
    assert_int_equal(out.gain.rows, whole);
    mtf_cohort_fini(&cohort);
}

/** The interval holds the truth in most worlds. */
static void intervals_hold_the_truth(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(65), 6);
    double value[2];
    true_values(value);
    const double truth = (value[0] + value[1]) / 2;
    enum { TRIALS = 12 };
    int missed = 0;
    mtf_fqe_config config = small();
    config.steps = 600;
    config.rate = 4e-3;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        mtf_cohort fitted = make_chain(&rng, 600, 0.5), judged = make_chain(&rng, 300, 0.5);
        const mtf_fold fold = {&fitted, &judged};
        config.seed = trial;
        const mtf_session_value out = estimate(&config, &fold, 1, 6, 2);
        missed += truth < out.value.low || truth > out.value.high;
        mtf_assert_close(out.value.value, truth, 0, 1);
        mtf_cohort_fini(&fitted);
        mtf_cohort_fini(&judged);
    }
    assert_in_range(missed, 0, 3); /* 0.6 expected; 4 or more once in 300 */
}

static void it_stops_when_told(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(66), 7);
    mtf_cohort cohort = make_chain(&rng, 50, 0.5);
    const atomic_bool stop = true;
    mtf_fqe_config config = small();
    mtf_fqe *fqe;
    mtf_err err = {0};
    config.stop = &stop;
    mtf_assert_ok(mtf_fqe_new(&config, 1, 1, &fqe, &err), &err);
    assert_int_equal(mtf_fqe_fit(fqe, &cohort, NULL, &err), MTF_CLOSED);
    mtf_fqe_free(fqe);
    mtf_cohort_fini(&cohort);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_the_values_of_a_policy_that_did_not_log),
        cmocka_unit_test(without_a_future_it_is_a_regression_of_the_reward),
        cmocka_unit_test(the_conservative_form_has_its_own_optimum),
        cmocka_unit_test(users_count_as_often_as_they_are_told),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(only_first_states_are_judged),
        cmocka_unit_test(intervals_hold_the_truth),
        cmocka_unit_test(it_stops_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
