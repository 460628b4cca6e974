/* Goal: the evolution strategy is the published one, and draws what it says it draws. Method: every
 * parameter and a dozen generations against tests/golden/cmaes.txt (float64, make_cmaes.py beside
 * it), the same points and values given to both; moments of many samples; what must not break it.
 */
#include "learner/golden_fixture.h"

#include "search/cmaes.h"

#define GOLDEN MTF_SOURCE_DIR "/tests/golden/cmaes.txt"

static void close_all(const double *actual, const double *expected, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++) {
        if (fabs(actual[i] - expected[i]) <= 1e-10 * (1 + fabs(expected[i]))) continue;
        fail_msg("%s[%zu] is %.17g, expected %.17g", what, i, actual[i], expected[i]);
    }
}

static void check_parameters(const golden *file, const mtf_cmaes *es, const char *run)
{
    const double *expected = golden_find(file, 10, "%s.parameters", run);
    const double actual[] = {es->n,  es->lambda, es->mu, es->mu_eff, es->cc,
                             es->cs, es->c1,     es->cm, es->ds,     es->expected};
    close_all(actual, expected, 10, "parameters");
    close_all(es->weight, golden_find(file, es->lambda, "%s.weights", run), es->lambda, "weights");
}

/* Returns the generations compared. */
static int follow(const golden *file, const char *run, uint32_t n)
{
    mtf_cmaes es;
    mtf_err err = {0};
    const double *start = golden_find(file, n, "%s.start", run);
    mtf_assert_ok(mtf_cmaes_init(&es, n, start, *golden_find(file, 1, "%s.sigma", run), &err),
                  &err);
    check_parameters(file, &es, run);
    int g = 0;
    for (; golden_has(file, "%s.%d.x", run, g); g++) {
        const double *x = golden_find(file, es.lambda * n, "%s.%d.x", run, g);
        const double *values = golden_find(file, es.lambda, "%s.%d.values", run, g);
        mtf_assert_ok(mtf_cmaes_update(&es, x, values, &err), &err);
        const double *after = golden_find(file, 2 + 3 * n + (size_t)n * n, "%s.%d.after", run, g);
        close_all(&es.sigma, after, 1, "sigma");
        close_all(es.mean, after + 2, n, "mean");
        close_all(es.sigma_path, after + 2 + n, n, "sigma_path");
        close_all(es.path, after + 2 + 2 * n, n, "path");
        close_all(es.c, after + 2 + 3 * n, (size_t)n * n, "c");
    }
    mtf_cmaes_fini(&es);
    return g;
}

static void every_generation_is_the_references(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
    assert_int_equal(follow(file, "ellipsoid", 5), 12);
    assert_int_equal(follow(file, "slope", 3), 12);
    assert_int_equal(follow(file, "steps", 1), 8);
    golden_free(file);
}

/* Brings a strategy into a state with a real covariance. */
static void adapt(mtf_cmaes *es, uint64_t seed, int generations)
{
    mtf_err err = {0};
    double points[16 * 4], values[16];
    assert_in_range(es->lambda * es->n, 1, 64);
    for (int g = 0; g < generations; g++) {
        mtf_cmaes_sample(es, seed, points);
        for (size_t k = 0; k < es->lambda; k++) {
            const double *p = points + k * es->n;
            values[k] = -(p[0] + p[1]) * (p[0] + p[1]) - 20 * p[2] * p[2];
        }
        mtf_assert_ok(mtf_cmaes_update(es, points, values, &err), &err);
    }
}

static void samples_have_the_mean_and_covariance_it_holds(void **state)
{
    (void)state;
    enum { N = 3, ROUNDS = 20000 };
    const uint64_t seed = mtf_test_seed(11);
    mtf_cmaes es;
    mtf_err err = {0};
    double points[16 * N], sum[N] = {0}, products[N][N] = {{0}};
    mtf_assert_ok(mtf_cmaes_init(&es, N, (const double[]){1, 2, 3}, 0.5, &err), &err);
    adapt(&es, seed, 10);
    assert_true(fabs(es.c[1]) > 0.05); /* a real covariance */
    for (uint64_t r = 0; r < ROUNDS; r++) {
        mtf_cmaes_sample(&es, seed + 1 + r, points);
        for (size_t k = 0; k < es.lambda; k++) {
            for (size_t i = 0; i < N; i++) {
                const double x = (points[k * N + i] - es.mean[i]) / es.sigma;
                sum[i] += x;
                for (size_t j = 0; j < N; j++)
                    products[i][j] += x * (points[k * N + j] - es.mean[j]) / es.sigma;
            }
        }
    }
    const double count = (double)ROUNDS * es.lambda;
    for (size_t i = 0; i < N; i++) {
        const double vi = es.c[i * N + i];
        mtf_assert_close(sum[i] / count, 0, 0, 6 * sqrt(vi / count));
        for (size_t j = 0; j < N; j++) {
            const double vj = es.c[j * N + j], cov = es.c[i * N + j];
            mtf_assert_close(products[i][j] / count, cov, 0,
                             6 * sqrt((vi * vj + cov * cov) / count));
        }
    }
    mtf_cmaes_fini(&es);
}

static void a_flat_objective_neither_breaks_nor_shrinks_it(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(3);
    mtf_cmaes es;
    mtf_err err = {0};
    double points[16 * 4], values[16] = {0};
    mtf_assert_ok(mtf_cmaes_init(&es, 4, (const double[]){0, 0, 0, 0}, 0.3, &err), &err);
    for (int g = 0; g < 300; g++) {
        mtf_cmaes_sample(&es, seed, points);
        mtf_assert_ok(mtf_cmaes_update(&es, points, values, &err), &err);
    }
    assert_true(es.sigma > 1e-3 && es.sigma < 1e3);
    mtf_cmaes_fini(&es);
}

static void points_all_on_the_mean_leave_a_covariance(void **state)
{
    (void)state;
    mtf_cmaes es;
    mtf_err err = {0};
    double points[16 * 4] = {0};
    const double values[16] = {3, 1, 2};
    mtf_assert_ok(mtf_cmaes_init(&es, 4, (const double[]){0, 0, 0, 0}, 0.3, &err), &err);
    for (int g = 0; g < 50; g++) mtf_assert_ok(mtf_cmaes_update(&es, points, values, &err), &err);
    for (size_t i = 0; i < 4; i++) assert_true(isfinite(es.d[i]) && es.d[i] > 0);
    mtf_cmaes_fini(&es);
}

static void an_extreme_valley_stays_positive_definite(void **state)
{
    (void)state;
    const uint64_t seed = mtf_test_seed(4);
    mtf_cmaes es;
    mtf_err err = {0};
    double points[16 * 4], values[16];
    mtf_assert_ok(mtf_cmaes_init(&es, 4, (const double[]){1, 1, 1, 1}, 1, &err), &err);
    for (int g = 0; g < 3000; g++) {
        mtf_cmaes_sample(&es, seed, points);
        for (size_t k = 0; k < es.lambda; k++)
            values[k] = -1e12 * fabs(points[k * 4]) + points[k * 4 + 3];
        mtf_assert_ok(mtf_cmaes_update(&es, points, values, &err), &err);
        assert_true(es.d[0] > 0 && es.d[3] / es.d[0] <= 1.0001e7);
    }
    mtf_cmaes_fini(&es);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_generation_is_the_references),
        cmocka_unit_test(samples_have_the_mean_and_covariance_it_holds),
        cmocka_unit_test(a_flat_objective_neither_breaks_nor_shrinks_it),
        cmocka_unit_test(points_all_on_the_mean_leave_a_covariance),
        cmocka_unit_test(an_extreme_valley_stays_positive_definite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
