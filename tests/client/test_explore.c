/** Goal: exploration (formula 3 of arXiv:2404.17589) stays in its box whatever the rounding, is
 *  uniform in it, and the logged density is the true one.
 *  Method: a million draws against exact bounds, a chi-square test, and edge cases. */
#include "support/mtf_test.h"

#include "client/explore.h"
#include "core/rng.h"

static mtf_str request(char text[32], int64_t number)
{
    snprintf(text, 32, "request-%" PRId64, number);
    return mtf_str_of(text);
}

/* A float in [-1,1] of a kind that rounding trips over: ends, near ends, tiny, ordinary. */
static float odd_float(mtf_rng *rng)
{
    switch (mtf_rng_below(rng, 6)) {
    case 0:
        return 1;
    case 1:
        return -1;
    case 2:
        return nextafterf(1, 0);
    case 3:
        return (float)(mtf_rng_normal(rng) * 1e-9);
    case 4:
        return (float)(1 - 0.2 * mtf_rng_uniform(rng)) * (mtf_rng_next(rng) % 2 ? 1 : -1);
    default:
        return (float)(2 * mtf_rng_uniform(rng) - 1);
    }
}

static void a_million_draws_stay_in_the_box(void **state)
{
    (void)state;
    enum { A = 10, REQUESTS = 100000 };
    static const float half_widths[] = {0.15F, 0, 1, 1e-6F, 3e-8F, 0.3F};
    const uint64_t seed = mtf_test_seed(1);
    mtf_rng rng = mtf_rng_of(seed, 9);
    for (int n = 0; n < REQUESTS; n++) {
        float base[A], lower[A], upper[A], action[A];
        char text[32];
        for (int d = 0; d < A; d++) base[d] = odd_float(&rng);
        mtf_box_clip(A, base, half_widths[n % 6], lower, upper);
        mtf_explore_box(seed, request(text, n), A, base, lower, upper, action);
        for (int d = 0; d < A; d++) {
            const double low = (double)base[d] + lower[d], high = (double)base[d] + upper[d];
            assert_true(low >= -1 && high <= 1 && lower[d] <= 0 && upper[d] >= 0);
            assert_true(action[d] >= low && action[d] <= high);
        }
    }
}

static void draws_are_uniform_in_the_box(void **state)
{
    (void)state;
    enum { BINS = 50, DRAWS = 200000 };
    const uint64_t seed = mtf_test_seed(2);
    const float base[2] = {0.25F, -0.95F};
    float lower[2], upper[2], action[2];
    int counts[2][BINS] = {{0}};
    double both = 0;
    mtf_box_clip(2, base, 0.15F, lower, upper);
    for (int n = 0; n < DRAWS; n++) {
        char text[32];
        double u[2];
        mtf_explore_box(seed, request(text, n), 2, base, lower, upper, action);
        for (int d = 0; d < 2; d++) {
            u[d] = ((double)action[d] - base[d] - lower[d]) / ((double)upper[d] - lower[d]);
            counts[d][(int)fmin(BINS - 1, u[d] * BINS)]++;
        }
        both += (u[0] - 0.5) * (u[1] - 0.5);
    }
    for (int d = 0; d < 2; d++) {
        double chi2 = 0;
        for (int b = 0; b < BINS; b++)
            chi2 += pow(counts[d][b] - DRAWS / (double)BINS, 2) * BINS / DRAWS;
        assert_true(chi2 < 100); /* 49 degrees of freedom: one in 20,000 seeds lies above */
    }
    /* independent dimensions: the correlation's standard error is 1 / sqrt(DRAWS) */
    assert_true(fabs(both / DRAWS * 12) < 5 / sqrt(DRAWS));
}

static void the_density_is_one_over_the_volume(void **state)
{
    (void)state;
    const float base[4] = {0, 0.95F, -1, 0.5F};
    const float lower[4] = {-0.15F, -0.15F, 0, 0.1F}, upper[4] = {0.15F, 0.05F, 0.15F, 0.1F};
    float action[4];
    const double log_density = mtf_explore_box(7, mtf_str_of("r"), 4, base, lower, upper, action);
    double volume = 1;
    for (int d = 0; d < 3; d++) volume *= (double)upper[d] - lower[d];
    mtf_assert_close(exp(log_density), 1 / volume, 1e-12, 0);
    assert_true(action[3] == base[3] + lower[3]); /* frozen: exactly there, without a density */
    assert_true(mtf_explore_box(7, mtf_str_of("r"), 0, NULL, NULL, NULL, NULL) == 0);
}

static void a_box_of_no_width_is_the_baseline(void **state)
{
    (void)state;
    const float base[3] = {0.3F, -1, 1};
    float lower[3], upper[3], action[3];
    mtf_box_clip(3, base, 0, lower, upper);
    assert_true(mtf_explore_box(1, mtf_str_of("x"), 3, base, lower, upper, action) == 0);
    assert_memory_equal(action, base, sizeof base);
    for (int d = 0; d < 3; d++) assert_false(signbit(lower[d]) || signbit(upper[d]));
}

static void a_draw_belongs_to_seed_and_request(void **state)
{
    (void)state;
    const float base[2] = {0, 0}, lower[2] = {-0.15F, -0.15F}, upper[2] = {0.15F, 0.15F};
    float first[2], again[2], other[2];
    mtf_explore_box(1, mtf_str_of("a"), 2, base, lower, upper, first);
    mtf_explore_box(1, mtf_str_of("a"), 2, base, lower, upper, again);
    assert_memory_equal(first, again, sizeof first);
    mtf_explore_box(2, mtf_str_of("a"), 2, base, lower, upper, other);
    assert_memory_not_equal(first, other, sizeof first);
    mtf_explore_box(1, mtf_str_of("b"), 2, base, lower, upper, other);
    assert_memory_not_equal(first, other, sizeof first);
    assert_true(first[0] != first[1]);
}

static void gaussian_noise_leaves_the_box_45_percent_of_the_time(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    const uint64_t seed = mtf_test_seed(4);
    const float base[2] = {0, 0.95F};
    int outside = 0, at_edge = 0;
    for (int n = 0; n < DRAWS; n++) {
        char text[32];
        float action[2];
        mtf_explore_gaussian(seed, request(text, n), 2, base, 0.2F, action);
        outside += fabsf(action[0]) > 0.15F;
        at_edge += action[1] == 1;
        assert_true(action[0] >= -1 && action[0] <= 1 && action[1] >= -1 && action[1] <= 1);
    }
    /* 2 (1 - Phi(0.75)) = 0.4533 and 1 - Phi(0.25) = 0.4013, standard error 0.0016 */
    mtf_assert_close(outside / (double)DRAWS, 0.4533, 0, 0.008);
    mtf_assert_close(at_edge / (double)DRAWS, 0.4013, 0, 0.008);
}

static void items_explore_apart_or_together(void **state)
{
    (void)state;
    enum { ITEMS = 4, A = 3 };
    float base[ITEMS * A], lower[ITEMS * A], upper[ITEMS * A], apart[ITEMS * A];
    float together[ITEMS * A], again[ITEMS * A];
    const mtf_str id = mtf_str_of("request");
    mtf_rng rng = mtf_rng_of(3, 3);
    for (int i = 0; i < ITEMS * A; i++) base[i] = odd_float(&rng);
    mtf_explore_boxes(7, id, ITEMS, A, base, 0.15F, false, lower, upper, apart);
    mtf_explore_boxes(7, id, ITEMS, A, base, 0.15F, false, lower, upper, again);
    assert_memory_equal(apart, again, sizeof apart);
    mtf_explore_boxes(7, id, ITEMS, A, base, 0.15F, true, lower, upper, together);
    double first[A];
    int differ = 0;
    for (int i = 0; i < ITEMS * A; i++) {
        const double low = (double)base[i] + lower[i], width = (double)upper[i] - lower[i];
        assert_true(low >= -1 && low + width <= 1 && apart[i] >= low && together[i] >= low);
        assert_true(apart[i] <= low + width + 1e-7 && together[i] <= low + width + 1e-7);
        const double place = (together[i] - low) / width;
        if (i < A) first[i] = place;
        mtf_assert_close(place, first[i % A], 0, 1e-5); /* of its box, every item the same */
        differ += fabs((apart[i] - low) / width - place) > 0.01;
    }
    assert_true(differ > A);
    /* One item is the request's exploration. */
    float alone[A];
    mtf_explore_box(7, id, A, base, lower, upper, alone);
    assert_memory_equal(alone, apart, sizeof alone);
    assert_memory_equal(alone, together, sizeof alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_million_draws_stay_in_the_box),
        cmocka_unit_test(draws_are_uniform_in_the_box),
        cmocka_unit_test(the_density_is_one_over_the_volume),
        cmocka_unit_test(a_box_of_no_width_is_the_baseline),
        cmocka_unit_test(a_draw_belongs_to_seed_and_request),
        cmocka_unit_test(gaussian_noise_leaves_the_box_45_percent_of_the_time),
        cmocka_unit_test(items_explore_apart_or_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
