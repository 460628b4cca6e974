/* Goal: the Gaussian process, its likelihood, the expected improvement, the climber and Sobol's
 * points are what they are called. Method: float64 numbers of NumPy and scipy (tests/golden/gp.txt,
 * make_gp.py beside it), gradients against central differences, the improvement against an
 * integral, hills with known tops. */
#include "learner/golden_fixture.h"

#include "core/rng.h"
#include "search/bo.h"
#include "search/climb.h"
#include "search/linear.h"
#include "search/sobol.h"

#define GOLDEN MTF_SOURCE_DIR "/tests/golden/gp.txt"
enum { CASES = 3 };

static const double *of_case(const golden *file, int at, const char *what, size_t count)
{
    return golden_find(file, count, "%d.%s", at, what);
}

/* gp set to the golden case; n, d out. */
static void set_case(const golden *file, int at, mtf_gp *gp, uint32_t *n, uint32_t *d)
{
    mtf_err err = {0};
    const double *size = of_case(file, at, "size", 2);
    *n = (uint32_t)size[0], *d = (uint32_t)size[1];
    mtf_assert_ok(mtf_gp_set(gp, *d, *n, of_case(file, at, "x", *n * *d),
                             of_case(file, at, "y", *n), of_case(file, at, "v", *n),
                             of_case(file, at, "theta", *d + 2), &err),
                  &err);
}

static void the_posterior_is_the_references(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
    mtf_gp gp = {0};
    for (int at = 0; at < CASES; at++) {
        uint32_t n, d;
        set_case(file, at, &gp, &n, &d);
        mtf_assert_close(gp.mean, *of_case(file, at, "mean", 1), 1e-9, 0);
        mtf_assert_close(mtf_gp_likelihood(&gp, NULL), *of_case(file, at, "likelihood", 1), 1e-9,
                         0);
        const double *points = of_case(file, at, "at", 6 * d), *y = of_case(file, at, "y", n);
        double best = y[0];
        for (uint32_t i = 1; i < n; i++) best = fmax(best, y[i]);
        for (size_t i = 0; i < 6; i++) {
            double mean, variance;
            mtf_gp_at(&gp, points + i * d, &mean, &variance, NULL, NULL);
            mtf_assert_close(mean, of_case(file, at, "means", 6)[i], 1e-8, 1e-9);
            mtf_assert_close(variance, of_case(file, at, "variances", 6)[i], 1e-7, 1e-9);
            mtf_assert_close(mtf_expected_improvement(mean, variance, best),
                             of_case(file, at, "improvement", 6)[i], 1e-6, 1e-12);
        }
    }
    mtf_gp_fini(&gp);
    golden_free(file);
}

static void gradients_are_those_of_central_differences(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
    mtf_gp gp = {0};
    for (int at = 0; at < CASES; at++) {
        uint32_t n, d;
        double theta[16], gradient[16], scratch[16], x[8], dm[8], dv[8];
        const double h = 1e-5;
        set_case(file, at, &gp, &n, &d);
        memcpy(theta, gp.theta, (d + 2) * sizeof *theta);
        mtf_bo_posterior(&gp, theta, gradient);
        for (uint32_t i = 0; i < d + 2; i++) {
            const double middle = theta[i];
            theta[i] = middle + h;
            const double above = mtf_bo_posterior(&gp, theta, scratch);
            theta[i] = middle - h;
            const double below = mtf_bo_posterior(&gp, theta, scratch);
            theta[i] = middle;
            mtf_assert_close(gradient[i], (above - below) / (2 * h), 1e-5, 1e-6);
        }
        set_case(file, at, &gp, &n, &d);
        memcpy(x, of_case(file, at, "at", 6 * d), d * sizeof *x);
        double m1, v1, m0, v0;
        mtf_gp_at(&gp, x, &m0, &v0, dm, dv);
        for (uint32_t i = 0; i < d; i++) {
            const double middle = x[i];
            x[i] = middle + h;
            mtf_gp_at(&gp, x, &m1, &v1, NULL, NULL);
            x[i] = middle - h;
            mtf_gp_at(&gp, x, &m0, &v0, NULL, NULL);
            x[i] = middle;
            mtf_assert_close(dm[i], (m1 - m0) / (2 * h), 1e-5, 1e-6);
            mtf_assert_close(dv[i], (v1 - v0) / (2 * h), 1e-5, 1e-6);
        }
    }
    mtf_gp_fini(&gp);
    golden_free(file);
}

/* Simpson's rule over ten deviations. */
static double integrate_improvement(double mean, double s, double best)
{
    enum { PARTS = 20000 };
    const double low = fmax(best, mean - 10 * s), high = mean + 10 * s;
    if (high <= low) return 0;
    double sum = 0;
    for (int i = 0; i <= PARTS; i++) {
        const double y = low + (high - low) * i / PARTS, z = (y - mean) / s;
        const double f = (y - best) * exp(-z * z / 2) / (s * 2.5066282746310002);
        sum += f * (i == 0 || i == PARTS ? 1 : i % 2 ? 4 : 2);
    }
    return sum * (high - low) / PARTS / 3;
}

static void the_expected_improvement_is_the_integral(void **state)
{
    (void)state;
    const double means[] = {-3, -0.5, 0, 0.2, 4}, deviations[] = {0.01, 0.3, 1, 5};
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 4; j++)
            mtf_assert_close(mtf_expected_improvement(means[i], deviations[j] * deviations[j], 0.1),
                             integrate_improvement(means[i], deviations[j], 0.1), 1e-7, 1e-12);
    mtf_assert_close(mtf_expected_improvement(2, 0, 0.5), 1.5, 0, 0);
    mtf_assert_close(mtf_expected_improvement(0, 0, 0.5), 0, 0, 0);
}

static void sobol_points_are_the_published_ones(void **state)
{
    (void)state;
    golden *file = golden_read(GOLDEN);
    const double *expected = golden_find(file, 64 * MTF_SOBOL_DIMS_MAX, "sobol");
    for (uint32_t i = 0; i < 64; i++)
        for (uint32_t d = 0; d < MTF_SOBOL_DIMS_MAX; d++)
            mtf_assert_close(mtf_sobol(i ^ i >> 1, d) * 0x1p-32,
                             expected[i * MTF_SOBOL_DIMS_MAX + d], 0, 0);
    golden_free(file);
}

static void every_dimension_of_sobol_fills_all_its_cells(void **state)
{
    (void)state;
    for (uint32_t d = 0; d < MTF_SOBOL_DIMS_MAX; d++) {
        bool seen[256] = {false};
        for (uint32_t i = 0; i < 256; i++) seen[mtf_sobol(i, d) >> 24] = true;
        for (uint32_t i = 0; i < 256; i++) assert_true(seen[i]);
    }
}

static void a_fit_finds_the_lengths_that_made_the_data(void **state)
{
    (void)state;
    enum { N = 120, D = 3 };
    double x[N * D], y[N], v[N], mean = 0, squares = 0;
    mtf_err err = {0};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(21), 0);
    for (size_t i = 0; i < N; i++) {
        for (size_t d = 0; d < D; d++) x[i * D + d] = mtf_rng_uniform(&rng);
        y[i] = sin(8 * x[i * D]) + 0.5 * x[i * D + 1]; /* fast, slow, and not at all */
        y[i] += 0.05 * mtf_rng_normal(&rng);
        v[i] = 0;
        mean += y[i] / N;
    }
    for (size_t i = 0; i < N; i++) squares += (y[i] - mean) * (y[i] - mean) / N;
    for (size_t i = 0; i < N; i++) y[i] = (y[i] - mean) / sqrt(squares);
    mtf_gp gp = {0};
    mtf_assert_ok(mtf_bo_fit(&gp, D, N, x, y, v, &err), &err);
    assert_true(exp(gp.theta[0]) < 1);
    assert_true(gp.theta[1] > gp.theta[0] + 0.7);
    assert_true(gp.theta[2] > gp.theta[0] + 1.5);
    mtf_assert_close(exp(gp.theta[D + 1]), 0.05 / sqrt(squares), 0.3, 0);
    for (int i = 0; i < 20; i++) {
        double point[D], at, variance;
        for (size_t d = 0; d < D; d++) point[d] = 0.1 + 0.8 * mtf_rng_uniform(&rng);
        mtf_gp_at(&gp, point, &at, &variance, NULL, NULL);
        const double truth = (sin(8 * point[0]) + 0.5 * point[1] - mean) / sqrt(squares);
        assert_true(fabs(at - truth) < 5 * sqrt(variance) && sqrt(variance) < 0.2);
    }
    mtf_gp_fini(&gp);
}

static void known_noise_is_not_taken_for_shape(void **state)
{
    (void)state;
    enum { N = 60 };
    double x[N], y[N], v[N];
    mtf_err err = {0};
    mtf_rng rng = mtf_rng_of(mtf_test_seed(22), 0);
    for (size_t i = 0; i < N; i++) {
        x[i] = mtf_rng_uniform(&rng);
        v[i] = 1;
        y[i] = mtf_rng_normal(&rng); /* nothing but the noise that is announced */
    }
    mtf_gp gp = {0};
    double mean, variance;
    mtf_assert_ok(mtf_bo_fit(&gp, 1, N, x, y, v, &err), &err);
    mtf_gp_at(&gp, (const double[]){0.5}, &mean, &variance, NULL, NULL);
    assert_true(fabs(mean) < 0.6);
    mtf_gp_fini(&gp);
}

static void points_given_twice_without_noise_are_no_failure(void **state)
{
    (void)state;
    const double x[] = {0.5, 0.5, 0.2, 0.2}, y[] = {1, 1, -1, -1}, v[] = {0, 0, 0, 0};
    mtf_gp gp = {0};
    mtf_err err = {0};
    mtf_assert_ok(mtf_bo_fit(&gp, 1, 4, x, y, v, &err), &err);
    mtf_gp_fini(&gp);
}

/* -- the climber ------------------------------------------------- */

static double hill(void *arg, const double *x, double *gradient)
{
    const double *top = arg;
    const double a = x[0] - top[0], b = x[1] - top[1] + 3 * a;
    gradient[0] = -2 * a - 600 * b, gradient[1] = -200 * b;
    return -a * a - 100 * b * b;
}

static void a_climb_ends_on_the_top_or_at_the_best_of_the_side(void **state)
{
    (void)state;
    const double low[] = {-5, -5}, high[] = {5, 5};
    double x[] = {4, -4}, inside[] = {1, -2}, beyond[] = {2, 7};
    mtf_climb(2, low, high, x, hill, inside, 200);
    mtf_assert_close(x[0], 1, 1e-4, 0);
    mtf_assert_close(x[1], -2, 1e-4, 0);
    x[0] = -4, x[1] = 3; /* the top lies over the side x1 = 5 */
    mtf_climb(2, low, high, x, hill, beyond, 200);
    mtf_assert_close(x[1], 5, 1e-9, 0);
    mtf_assert_close(x[0], 2 + 600.0 / 901, 1e-4, 0);
}

static double cliff(void *arg, const double *x, double *gradient)
{
    (void)arg;
    gradient[0] = 1;
    return x[0] > 0.7 ? (double)NAN : x[0];
}

static void a_climb_stays_where_there_are_values(void **state)
{
    (void)state;
    double x = 0.1;
    const double low = 0, high = 1;
    const double value = mtf_climb(1, &low, &high, &x, cliff, NULL, 100);
    assert_true(x <= 0.7 && x > 0.5 && value == x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_posterior_is_the_references),
        cmocka_unit_test(gradients_are_those_of_central_differences),
        cmocka_unit_test(the_expected_improvement_is_the_integral),
        cmocka_unit_test(sobol_points_are_the_published_ones),
        cmocka_unit_test(every_dimension_of_sobol_fills_all_its_cells),
        cmocka_unit_test(a_fit_finds_the_lengths_that_made_the_data),
        cmocka_unit_test(known_noise_is_not_taken_for_shape),
        cmocka_unit_test(points_given_twice_without_noise_are_no_failure),
        cmocka_unit_test(a_climb_ends_on_the_top_or_at_the_best_of_the_side),
        cmocka_unit_test(a_climb_stays_where_there_are_values),
    };
    mtf_linear_one_thread();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
