/* Goal: a search finds what is there to find within the points it is given, does the same thing
 * again from the same seed and from a save, and refuses what it cannot use. Method: functions with
 * known best points, plain and noisy, in the middle and on the sides of a box; grids counted out;
 * saves taken at every batch, cut and changed. */
#include "support/mtf_test.h"

#include "core/hash.h"
#include "core/rng.h"
#include "search/cmaes.h"
#include "search/inside.h"

#include <string.h>

enum { DIMS_MAX = 16 };

static const double low[DIMS_MAX] = {-1, -2, -1, -1, -1, -1, -1, -1,
                                     -1, -1, -1, -1, -1, -1, -1, -1};
static const double high[DIMS_MAX] = {1, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

typedef double objective(const double *x, uint32_t n);

static double sphere(const double *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t d = 0; d < n; d++) sum -= (x[d] - 0.3) * (x[d] - 0.3);
    return sum;
}

static double ellipsoid(const double *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t d = 0; d < n; d++) /* turned by 45 degrees in pairs, condition 1e6 */
        sum -= pow(1e6, d / (n - 1.0)) * (x[d] + (d % 2 ? -1 : 1) * x[d ^ 1]) *
               (x[d] + (d % 2 ? -1 : 1) * x[d ^ 1]);
    return sum;
}

static double rosenbrock(const double *x, uint32_t n)
{
    double sum = 0; /* best at 0.5 everywhere */
    for (uint32_t d = 0; d + 1 < n; d++) {
        const double a = 2 * x[d], b = 2 * x[d + 1];
        sum -= 100 * (b - a * a) * (b - a * a) + (1 - a) * (1 - a);
    }
    return sum;
}

static double outside(const double *x, uint32_t n)
{
    double sum = 0; /* best beyond the first corner of the box: low, and in the middle of others */
    for (uint32_t d = 0; d < n; d++)
        sum -= (x[d] - (d < 2 ? -3 : 0.1)) * (x[d] - (d < 2 ? -3 : 0.1));
    return sum;
}

static double flat(const double *x, uint32_t n)
{
    (void)x, (void)n;
    return 7;
}

static const struct {
    const char *name;
    uint32_t points; /* to go through */
} methods[] = {{"constant", 1}, {"grid", 130}, {"es", 130}, {"bo", 20}};
enum { METHODS = sizeof methods / sizeof *methods };

static mtf_search *open_search(const char *method, uint32_t n, uint64_t seed)
{
    const mtf_search_config config = {.dims = n, .lower = low, .upper = high, .seed = seed};
    mtf_search *search;
    mtf_err err = {0};
    mtf_assert_ok(mtf_search_open(method, &config, &search, &err), &err);
    return search;
}

/* Tries at most `points`; noise: standard deviation of what is told. */
static void spend(mtf_search *search, uint32_t n, objective *f, double noise, uint64_t seed,
                  uint32_t points)
{
    mtf_err err = {0};
    mtf_rng rng = mtf_rng_of(seed, mtf_search_told(search));
    while (mtf_search_batch(search) > 0 &&
           mtf_search_told(search) + mtf_search_batch(search) <= points) {
        const double *x;
        double values[MTF_SEARCH_BATCH_MAX], variances[MTF_SEARCH_BATCH_MAX];
        uint32_t count;
        mtf_assert_ok(mtf_search_ask(search, &x, &count, &err), &err);
        for (uint32_t i = 0; i < count; i++) {
            for (uint32_t d = 0; d < n; d++)
                assert_true(x[i * n + d] >= low[d] && x[i * n + d] <= high[d]);
            values[i] = f(x + i * n, n) + noise * mtf_rng_normal(&rng);
            variances[i] = noise * noise;
        }
        mtf_assert_ok(mtf_search_tell(search, values, variances, &err), &err);
    }
}

static void best_of(mtf_search *search, double *point)
{
    mtf_err err = {0};
    mtf_assert_ok(mtf_search_best(search, point, &err), &err);
}

static void reaches(const char *method, uint32_t n, objective *f, uint32_t points, double shortfall,
                    double best)
{
    double point[DIMS_MAX];
    for (uint64_t seed = 1; seed <= 5; seed++) {
        mtf_search *search = open_search(method, n, seed);
        spend(search, n, f, 0, seed, points);
        best_of(search, point);
        if (!(f(point, n) >= best - shortfall))
            fail_msg("%s seed %d: %g after %u points, best is %g", method, (int)seed, f(point, n),
                     mtf_search_told(search), best);
        mtf_search_close(search);
    }
}

static void es_finds_the_best_of_known_functions(void **state)
{
    (void)state;
    reaches("es", 10, sphere, 2500, 1e-10, 0);
    reaches("es", 10, ellipsoid, 8000, 1e-8, 0);
    reaches("es", 8, rosenbrock, 8000, 1e-8, 0);
    reaches("es", 1, sphere, 400, 1e-8, 0);
}

static void es_finds_a_best_point_on_the_sides_of_the_box(void **state)
{
    (void)state;
    double corner[10] = {-1, -2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    reaches("es", 10, outside, 3000, 1e-3, outside(corner, 10));
}

static void es_averages_noise_away(void **state)
{
    (void)state;
    double point[10];
    mtf_search *search = open_search("es", 10, mtf_test_seed(7));
    spend(search, 10, sphere, 0.1, 70, 3000);
    best_of(search, point);
    assert_true(sphere(point, 10) > -0.15); /* the start: -0.85 */
    mtf_search_close(search);
}

/* On flat ground the step size wanders; beyond the box's width mirrored points would be uniform,
 * and no selection could bring it back. */
static void a_step_of_es_never_outgrows_the_box(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        mtf_search *search = open_search("es", 1, seed);
        for (uint32_t points = 100; points <= 4000; points += 100) {
            spend(search, 1, flat, 0, seed, points);
            const mtf_cmaes *es = search->self;
            assert_true(es->sigma * es->d[0] <= 1 + 1e-12);
        }
        mtf_search_close(search);
    }
}

/* Branin's function turned upside down and moved to this box: three tops of -0.397887. */
static double branin(const double *x, uint32_t n)
{
    (void)n;
    const double pi = 3.14159265358979323846, a = 2.5 + 7.5 * x[0], b = 3 * (x[1] + 2);
    const double c = b - 5.1 / (4 * pi * pi) * a * a + 5 / pi * a - 6;
    return -(c * c + 10 * (1 - 1 / (8 * pi)) * cos(a) + 10);
}

static void bo_finds_the_best_in_few_points(void **state)
{
    (void)state;
    reaches("bo", 2, branin, 40, 0.01, -0.397887);
    reaches("bo", 1, sphere, 12, 1e-4, 0);
    reaches("bo", 5, sphere, 40, 0.02, 0);
}

static void bo_takes_a_corner_when_it_is_the_best(void **state)
{
    (void)state;
    const double corner[3] = {-1, -2, 0.1};
    reaches("bo", 3, outside, 30, 0.01, outside(corner, 3));
}

static void bo_is_not_taken_in_by_noise(void **state)
{
    (void)state;
    double point[10], sum = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        mtf_search *search = open_search("bo", 4, seed);
        spend(search, 4, sphere, 0.3, 50 + seed, 70);
        best_of(search, point);
        sum += sphere(point, 4) / 3;
        mtf_search_close(search);
    }
    assert_true(sum >
                -0.15); /* half a value's error; the start: -0.31, of the box on average: -2.6 */
}

/* One value is high and known to be worth little. */
static void bo_goes_by_how_well_a_value_is_known(void **state)
{
    (void)state;
    mtf_err err = {0};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        mtf_search *search = open_search("bo", 2, seed);
        const double *x;
        double values[MTF_SEARCH_BATCH_MAX], variances[MTF_SEARCH_BATCH_MAX], point[2], doubtful[2];
        uint32_t count, last;
        mtf_assert_ok(mtf_search_ask(search, &x, &count, &err), &err);
        last = count - 1;
        for (uint32_t i = 0; i < count; i++) {
            values[i] = sphere(x + 2 * i, 2);
            variances[i] = 1e-4;
        }
        values[last] = 4, variances[last] = 400;
        memcpy(doubtful, x + 2 * last, sizeof doubtful);
        mtf_assert_ok(mtf_search_tell(search, values, variances, &err), &err);
        best_of(search, point);
        assert_true(fabs(point[0] - doubtful[0]) + fabs(point[1] - doubtful[1]) > 1e-9);
        mtf_search_close(search);
    }
}

static void bo_starts_with_shifted_sobol_points(void **state)
{
    (void)state;
    enum { N = 7, COUNT = 16 }; /* a whole block of Sobol's points: one in each sixteenth */
    double first[COUNT * N];
    mtf_err err = {0};
    for (uint64_t seed = 1; seed <= 2; seed++) {
        mtf_search *search = open_search("bo", N, seed);
        const double *x;
        uint32_t count;
        mtf_assert_ok(mtf_search_ask(search, &x, &count, &err), &err);
        assert_int_equal(count, COUNT);
        for (uint32_t d = 0; d < N; d++) {
            int seen[COUNT] = {0};
            for (uint32_t i = 0; i < COUNT; i++)
                seen[(int)((x[i * N + d] - low[d]) / (high[d] - low[d]) * COUNT)]++;
            for (uint32_t i = 0; i < COUNT; i++) assert_int_equal(seen[i], 1);
        }
        if (seed == 1)
            memcpy(first, x, sizeof first);
        else
            assert_memory_not_equal(first, x, sizeof first);
        mtf_search_close(search);
    }
}

static double steep(const double *x, uint32_t n)
{
    (void)n;
    return 1e300 * x[0];
}

static void flat_and_huge_values_are_no_failure(void **state)
{
    (void)state;
    double point[4];
    for (int m = 0; m < METHODS; m++) {
        for (int huge = 0; huge < 2; huge++) {
            mtf_search *search = open_search(methods[m].name, 4, 1);
            spend(search, 4, huge ? steep : flat, 0, 1, methods[m].points);
            best_of(search, point);
            for (int d = 0; d < 4; d++) assert_true(point[d] >= low[d] && point[d] <= high[d]);
            mtf_search_close(search);
        }
    }
}

static void a_constant_is_tried_once_and_kept(void **state)
{
    (void)state;
    const double start[] = {0.25, -1.5};
    const mtf_search_config config = {.dims = 2, .lower = low, .upper = high, .start = start};
    mtf_search *search;
    mtf_err err = {0};
    const double *x;
    uint32_t count;
    double point[2];
    mtf_assert_ok(mtf_search_open("constant", &config, &search, &err), &err);
    best_of(search, point);
    mtf_assert_close(point[0], 0.25, 1e-15, 0);
    spend(search, 2, sphere, 0, 1, 100);
    assert_int_equal(mtf_search_told(search), 1);
    assert_int_equal(mtf_search_ask(search, &x, &count, &err), MTF_CLOSED);
    best_of(search, point);
    mtf_assert_close(point[1], -1.5, 1e-15, 0);
    mtf_search_close(search);
}

static void a_grid_is_a_full_design_of_cells_middles(void **state)
{
    (void)state;
    const mtf_search_config config = {.dims = 3, .lower = low, .upper = high, .budget = 70};
    mtf_search *search;
    mtf_err err = {0};
    int seen[5][4][4] = {{{0}}}, points = 0;
    mtf_assert_ok(mtf_search_open("grid", &config, &search, &err), &err);
    while (mtf_search_batch(search) > 0) {
        const double *x;
        uint32_t count;
        double values[MTF_SEARCH_BATCH_MAX];
        mtf_assert_ok(mtf_search_ask(search, &x, &count, &err), &err);
        for (uint32_t i = 0; i < count; i++, points++) {
            /* 4 x 4 x 4: a fifth level of the first dimension would make 80 */
            const double a = (x[3 * i] + 1) / 2 * 4, b = (x[3 * i + 1] + 2) / 5 * 4,
                         c = (x[3 * i + 2] + 1) / 2 * 4;
            mtf_assert_close(a - floor(a), 0.5, 0, 1e-12);
            mtf_assert_close(b - floor(b), 0.5, 0, 1e-12);
            mtf_assert_close(c - floor(c), 0.5, 0, 1e-12);
            seen[(int)a][(int)b][(int)c]++;
            values[i] = sphere(x + 3 * i, 3);
        }
        mtf_assert_ok(mtf_search_tell(search, values, NULL, &err), &err);
    }
    assert_int_equal(points, 64);
    for (int i = 0; i < 64; i++) assert_int_equal(seen[i / 16][i / 4 % 4][i % 4], 1);
    double best[3]; /* the middles nearest to 0.3 */
    best_of(search, best);
    mtf_assert_close(best[0], 0.25, 1e-12, 0);
    mtf_assert_close(best[1], -2 + 5 * 0.375, 1e-12, 0);
    mtf_assert_close(best[2], 0.25, 1e-12, 0);
    mtf_search_close(search);
}

static void a_grid_fits_any_budget(void **state)
{
    (void)state;
    mtf_search *square;
    mtf_err why = {0};
    const mtf_search_config three = {.dims = 2, .lower = low, .upper = high, .budget = 3};
    mtf_assert_ok(mtf_search_open("grid", &three, &square, &why), &why);
    assert_int_equal(mtf_search_batch(square), 2); /* not 3 by 1: levels differ by one at most */
    mtf_search_close(square);
    for (uint32_t n = 1; n <= 16; n++) {
        for (uint32_t budget = 1; budget < 3000; budget += 1 + budget / 3) {
            const mtf_search_config config = {
                .dims = n, .lower = low, .upper = high, .budget = budget};
            mtf_search *search;
            mtf_err err = {0};
            mtf_assert_ok(mtf_search_open("grid", &config, &search, &err), &err);
            spend(search, n, sphere, 0, 1, 1000000);
            assert_in_range(mtf_search_told(search), budget / 2 ? budget / 2 : 1, budget);
            mtf_search_close(search);
        }
    }
}

/* -- seeds and saves --------------------------------------------- */

static void asking_again_gives_the_same_points(void **state)
{
    (void)state;
    mtf_err err = {0};
    for (int m = 0; m < METHODS; m++) {
        mtf_search *search = open_search(methods[m].name, 4, 5);
        const double *one, *two;
        uint32_t count, again;
        double first[MTF_SEARCH_BATCH_MAX * 4];
        mtf_assert_ok(mtf_search_ask(search, &one, &count, &err), &err);
        assert_int_equal(count, mtf_search_batch(search));
        memcpy(first, one, count * 4 * sizeof *first);
        mtf_assert_ok(mtf_search_ask(search, &two, &again, &err), &err);
        assert_int_equal(again, count);
        assert_memory_equal(first, two, count * 4 * sizeof *first);
        mtf_search_close(search);
    }
}

static void a_seed_repeats_itself_and_another_does_not(void **state)
{
    (void)state;
    for (int m = 2; m < METHODS; m++) {
        const char *name = methods[m].name;
        double a[4], b[4], c[4];
        mtf_search *one = open_search(name, 4, 5), *same = open_search(name, 4, 5),
                   *other = open_search(name, 4, 6);
        spend(one, 4, sphere, 0.1, 9, methods[m].points);
        spend(same, 4, sphere, 0.1, 9, methods[m].points);
        spend(other, 4, sphere, 0.1, 9, methods[m].points);
        best_of(one, a), best_of(same, b), best_of(other, c);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_not_equal(a, c, sizeof a);
        mtf_search_close(one);
        mtf_search_close(same);
        mtf_search_close(other);
    }
}

/* A search that is saved and loaded after every batch, in the middle of an ask too. */
static void a_saved_search_goes_on_as_if_it_had_never_stopped(void **state)
{
    (void)state;
    mtf_err err = {0};
    for (int m = 0; m < METHODS; m++) {
        mtf_search *whole = open_search(methods[m].name, 4, 5),
                   *broken = open_search(methods[m].name, 4, 5);
        while (mtf_search_batch(whole) > 0 && mtf_search_told(whole) < methods[m].points) {
            const uint32_t next = mtf_search_told(whole) + mtf_search_batch(whole);
            const double *x;
            uint32_t count;
            mtf_buf saved = {0};
            mtf_assert_ok(mtf_search_ask(broken, &x, &count, &err), &err);
            mtf_search_save(broken, &saved);
            assert_false(saved.failed);
            mtf_search_close(broken);
            broken = open_search(methods[m].name, 4, 5);
            mtf_assert_ok(mtf_search_load(broken, mtf_buf_span(&saved), &err), &err);
            mtf_buf_fini(&saved);
            spend(whole, 4, sphere, 0.1, 3, next);
            spend(broken, 4, sphere, 0.1, 3, next);
            assert_int_equal(mtf_search_told(broken), next);
        }
        double a[4], b[4];
        best_of(whole, a), best_of(broken, b);
        assert_memory_equal(a, b, sizeof a);
        mtf_search_close(whole);
        mtf_search_close(broken);
    }
}

static void a_damaged_save_is_refused(void **state)
{
    (void)state;
    mtf_err err = {0};
    mtf_buf saved = {0};
    mtf_search *search = open_search("es", 3, 5);
    spend(search, 3, sphere, 0, 1, 21);
    mtf_search_save(search, &saved);
    mtf_search_close(search);
    for (size_t i = 0; i < saved.size; i++) {
        search = open_search("es", 3, 5);
        saved.data[i] ^= 0x10;
        assert_int_equal(mtf_search_load(search, mtf_buf_span(&saved), &err), MTF_CORRUPT);
        saved.data[i] ^= 0x10;
        mtf_search_close(search);
        search = open_search("es", 3, 5);
        assert_int_equal(mtf_search_load(search, (mtf_span){saved.data, i}, &err), MTF_CORRUPT);
        mtf_search_close(search);
    }
    mtf_buf_fini(&saved);
}

/* Someone else's program may have written it, and its checksum: no content may break us. */
static void a_wrong_save_with_a_right_checksum_breaks_nothing(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(8), 0);
    int taken = 0, refused = 0;
    for (int m = 1; m < METHODS; m++) {
        mtf_buf saved = {0};
        mtf_err err = {0};
        mtf_search *search = open_search(methods[m].name, 4, 5);
        spend(search, 4, sphere, 0.1, 3, methods[m].points);
        mtf_search_save(search, &saved);
        mtf_search_close(search);
        for (int i = 0; i < 60; i++) {
            mtf_buf other = {0};
            double best[4];
            mtf_buf_put(&other, saved.data, saved.size - 8);
            for (int k = 0; k < 3; k++) /* the last bytes of doubles are their exponents */
                other.data[mtf_rng_below(&rng, other.size)] = (uint8_t)mtf_rng_next(&rng);
            mtf_buf_put_u64_le(&other, mtf_hash64(other.data, other.size));
            assert_false(other.failed);
            search = open_search(methods[m].name, 4, 5);
            if (mtf_search_load(search, mtf_buf_span(&other), &err) == MTF_OK) {
                taken++;
                if (mtf_search_best(search, best, &err) == MTF_OK)
                    for (int d = 0; d < 4; d++)
                        assert_true(best[d] >= low[d] && best[d] <= high[d]);
                if (m < 3) spend(search, 4, sphere, 0, 1, mtf_search_told(search) + 24);
            } else {
                refused++;
            }
            mtf_search_close(search);
            mtf_buf_fini(&other);
        }
        mtf_buf_fini(&saved);
    }
    print_message("taken %d, refused %d\n", taken, refused);
    assert_true(taken > 0 && refused > 0);
}

static void a_save_of_another_search_is_refused(void **state)
{
    (void)state;
    mtf_err err = {0};
    mtf_buf saved = {0};
    mtf_search *search = open_search("es", 3, 5);
    spend(search, 3, sphere, 0, 1, 21);
    mtf_search_save(search, &saved);
    mtf_search_close(search);
    mtf_search *const others[] = {open_search("grid", 3, 5), open_search("es", 2, 5),
                                  open_search("es", 3, 6)};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(mtf_search_load(others[i], mtf_buf_span(&saved), &err), MTF_INVALID);
        assert_non_null(strstr(err.msg, "a saved search is of method es"));
        mtf_search_close(others[i]);
    }
    mtf_buf_fini(&saved);
}

/* -- running ----------------------------------------------------- */

typedef struct run {
    uint32_t calls, batches, fail_at; /* fail_at 0: never */
} run;

static mtf_status objective_of_run(void *arg, const mtf_search_trial *trial, double *value,
                                   double *variance, mtf_err *err)
{
    run *r = arg;
    assert_int_equal(trial->index, r->calls);
    assert_true(trial->batch <= trial->index);
    r->batches += trial->batch == trial->index;
    if (++r->calls == r->fail_at) return mtf_fail(err, MTF_IO, "the test's world ended");
    *value = sphere(trial->point, 4);
    *variance = 0;
    return MTF_OK;
}

static void a_run_tries_no_more_than_it_is_given(void **state)
{
    (void)state;
    mtf_err err = {0};
    run r = {0};
    mtf_search *search = open_search("es", 4, 1); /* 8 a batch */
    mtf_assert_ok(mtf_search_run(search, 100, objective_of_run, &r, &err), &err);
    assert_true(r.calls == 96 && r.batches == 12 && mtf_search_told(search) == 96);
    mtf_assert_ok(mtf_search_run(search, 100, objective_of_run, &r, &err), &err);
    assert_int_equal(r.calls, 96);
    mtf_assert_ok(mtf_search_run(search, 104, objective_of_run, &r, &err), &err);
    assert_int_equal(r.calls, 104);
    mtf_search_close(search);
    search = open_search("grid", 4, 1);
    r = (run){0};
    mtf_assert_ok(mtf_search_run(search, UINT32_MAX, objective_of_run, &r, &err), &err);
    assert_int_equal(r.calls, 900); /* 6 x 6 x 5 x 5; 1024 is its budget */
    mtf_search_close(search);
}

static void a_run_ends_with_its_objective_and_says_when_nothing_can_be_tried(void **state)
{
    (void)state;
    mtf_err err = {0};
    run r = {.fail_at = 11};
    mtf_search *search = open_search("es", 4, 1);
    assert_int_equal(mtf_search_run(search, 7, objective_of_run, &r, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "es begins with 8 points, more than 7"));
    assert_int_equal(mtf_search_run(search, 100, objective_of_run, &r, &err), MTF_IO);
    assert_string_equal(err.msg, "the test's world ended");
    assert_int_equal(mtf_search_told(search), 8); /* the batch is asked again */
    r = (run){.calls = 8, .batches = 1};
    mtf_assert_ok(mtf_search_run(search, 16, objective_of_run, &r, &err), &err);
    assert_int_equal(mtf_search_told(search), 16);
    mtf_search_close(search);
}

/* -- refusals ---------------------------------------------------- */

static void values_that_are_no_numbers_are_refused_and_nothing_is_taken(void **state)
{
    (void)state;
    const double *x;
    uint32_t count;
    double values[MTF_SEARCH_BATCH_MAX] = {0}, variances[MTF_SEARCH_BATCH_MAX] = {0};
    mtf_err err = {0};
    mtf_search *search = open_search("es", 3, 1);
    mtf_assert_ok(mtf_search_ask(search, &x, &count, &err), &err);
    values[2] = (double)NAN;
    assert_int_equal(mtf_search_tell(search, values, NULL, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "point 2"));
    values[2] = 0, variances[1] = -1;
    assert_int_equal(mtf_search_tell(search, values, variances, &err), MTF_INVALID);
    assert_non_null(strstr(err.msg, "point 1"));
    assert_int_equal(mtf_search_told(search), 0);
    variances[1] = 0;
    mtf_assert_ok(mtf_search_tell(search, values, variances, &err), &err);
    assert_int_equal(mtf_search_told(search), count);
    mtf_search_close(search);
}

static void refuses(const char *method, const mtf_search_config *config, const char *words)
{
    mtf_search *search;
    mtf_err err = {0};
    assert_int_equal(mtf_search_open(method, config, &search, &err), MTF_INVALID);
    assert_null(search);
    if (!strstr(err.msg, words)) fail_msg("'%s' does not say '%s'", err.msg, words);
}

static void wrong_boxes_are_refused_with_words(void **state)
{
    (void)state;
    const double point[2] = {0.5, 3.5}, infinite[2] = {1, (double)INFINITY};
    refuses("cma", &(mtf_search_config){.dims = 2, .lower = low, .upper = high},
            "there is no method \"cma\"; there are constant grid es bo");
    refuses("bo", &(mtf_search_config){.dims = 32, .lower = low, .upper = high}, "1 to 31");
    refuses("es", &(mtf_search_config){.dims = 0, .lower = low, .upper = high}, "1 to 64");
    refuses("es", &(mtf_search_config){.dims = 65, .lower = low, .upper = high}, "not 65");
    refuses("es", &(mtf_search_config){.dims = 2, .lower = low, .upper = low},
            "dimension 0 has no inside");
    refuses("es", &(mtf_search_config){.dims = 2, .lower = low, .upper = infinite}, "dimension 1");
    refuses("es", &(mtf_search_config){.dims = 2, .lower = low, .upper = high, .start = point},
            "the start 3.5 of dimension 1");
    refuses("es", &(mtf_search_config){.dims = 2, .lower = low, .upper = high, .spread = 2},
            "spread");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(es_finds_the_best_of_known_functions),
        cmocka_unit_test(es_finds_a_best_point_on_the_sides_of_the_box),
        cmocka_unit_test(es_averages_noise_away),
        cmocka_unit_test(a_step_of_es_never_outgrows_the_box),
        cmocka_unit_test(bo_finds_the_best_in_few_points),
        cmocka_unit_test(bo_takes_a_corner_when_it_is_the_best),
        cmocka_unit_test(bo_is_not_taken_in_by_noise),
        cmocka_unit_test(bo_goes_by_how_well_a_value_is_known),
        cmocka_unit_test(bo_starts_with_shifted_sobol_points),
        cmocka_unit_test(flat_and_huge_values_are_no_failure),
        cmocka_unit_test(a_constant_is_tried_once_and_kept),
        cmocka_unit_test(a_grid_is_a_full_design_of_cells_middles),
        cmocka_unit_test(a_grid_fits_any_budget),
        cmocka_unit_test(asking_again_gives_the_same_points),
        cmocka_unit_test(a_seed_repeats_itself_and_another_does_not),
        cmocka_unit_test(a_saved_search_goes_on_as_if_it_had_never_stopped),
        cmocka_unit_test(a_damaged_save_is_refused),
        cmocka_unit_test(a_wrong_save_with_a_right_checksum_breaks_nothing),
        cmocka_unit_test(a_save_of_another_search_is_refused),
        cmocka_unit_test(a_run_tries_no_more_than_it_is_given),
        cmocka_unit_test(a_run_ends_with_its_objective_and_says_when_nothing_can_be_tried),
        cmocka_unit_test(values_that_are_no_numbers_are_refused_and_nothing_is_taken),
        cmocka_unit_test(wrong_boxes_are_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
