/** Goal: draws are a pure function of (key, stream, index), uniform, and apart between streams.
 *  Method: known answers from a Python rewrite of the header's words, any order of draws, and
 *  chi-square and moments at a fixed seed; every bound is 6 standard deviations wide. */
#include "support/mtf_test.h"

#include "core/rng.h"

#define DRAWS 1000000
#define BINS  256

static void bits_are_the_known_answers(void **state)
{
    (void)state;
    assert_true(mtf_rng_bits(0, 0, 0) == 0x73c269f062cd19c5u);
    assert_true(mtf_rng_bits(1, 2, 3) == 0xa57ec224fff14b74u);
    assert_true(mtf_rng_bits(UINT64_MAX, UINT64_MAX, UINT64_MAX) == 0xcce537035007cb9eu);
}

static void a_cursor_walks_its_stream_and_a_copy_goes_on_alike(void **state)
{
    (void)state;
    const uint64_t key = mtf_test_seed(4);
    mtf_rng rng = mtf_rng_of(key, 7);
    for (uint64_t i = 0; i < 100; i++) assert_true(mtf_rng_next(&rng) == mtf_rng_bits(key, 7, i));
    mtf_rng copy = rng;
    const double first = mtf_rng_normal(&rng);
    mtf_rng_uniform(&rng);
    assert_true(mtf_rng_normal(&copy) == first);
    assert_int_equal(copy.index, 102);
    for (uint64_t i = 100; i-- > 0;) {
        mtf_rng one = {key, 7, i};
        assert_true(mtf_rng_next(&one) == mtf_rng_bits(key, 7, i));
    }
}

/** chi2 of `bins` equally likely counts stays within 6 deviations of its mean. */
static void assert_uniform(const uint32_t *counts, int bins, double draws)
{
    const double expected = draws / bins;
    double chi2 = 0;
    for (int i = 0; i < bins; i++)
        chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
    mtf_assert_close(chi2, bins - 1, 0, 6 * sqrt(2.0 * (bins - 1)));
}

static void uniform_is_uniform_in_every_byte(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(5), 1);
    static uint32_t counts[BINS], bytes[8][BINS];
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t bits = mtf_rng_bits(rng.key, rng.stream, rng.index);
        for (int k = 0; k < 8; k++) bytes[k][bits >> 8 * k & 0xff]++;
        const double u = mtf_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
        counts[(int)(u * BINS)]++;
    }
    assert_uniform(counts, BINS, DRAWS);
    for (int k = 0; k < 8; k++) assert_uniform(bytes[k], BINS, DRAWS);
}

static void below_is_uniform_and_below(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(6), 2);
    static uint32_t counts[7];
    for (int i = 0; i < DRAWS; i++) {
        const uint64_t draw = mtf_rng_below(&rng, 7);
        assert_true(draw < 7);
        counts[draw]++;
    }
    assert_uniform(counts, 7, DRAWS);
    for (int i = 0; i < 100; i++) assert_int_equal(mtf_rng_below(&rng, 1), 0);
}

static void neighbouring_keys_streams_and_indices_are_apart(void **state)
{
    (void)state;
    const uint64_t key = mtf_test_seed(7);
    const uint64_t steps[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    for (int axis = 0; axis < 3; axis++) {
        double together = 0, flipped = 0;
        for (uint64_t i = 0; i < 100000; i++) {
            const uint64_t a =
                mtf_rng_bits(key + i * steps[axis][0], i * steps[axis][1], i * steps[axis][2]);
            const uint64_t b = mtf_rng_bits(key + (i + 1) * steps[axis][0],
                                            (i + 1) * steps[axis][1], (i + 1) * steps[axis][2]);
            together += ((double)a * 0x1p-64 - 0.5) * ((double)b * 0x1p-64 - 0.5) * 12;
            for (uint64_t bits = a ^ b; bits; bits &= bits - 1) flipped++;
        }
        mtf_assert_close(together / 100000, 0, 0, 6 / sqrt(100000));
        mtf_assert_close(flipped / 100000, 32, 0, 6 * 4 / sqrt(100000));
    }
}

static void normal_has_the_moments_and_tails_of_a_normal(void **state)
{
    (void)state;
    mtf_rng rng = mtf_rng_of(mtf_test_seed(8), 3);
    double sum = 0, squares = 0, fourths = 0, beyond_2 = 0;
    for (int i = 0; i < DRAWS; i++) {
        const double z = mtf_rng_normal(&rng);
        assert_true(isfinite(z));
        sum += z, squares += z * z, fourths += z * z * z * z, beyond_2 += fabs(z) > 2;
    }
    const double deviations = 6 / sqrt(DRAWS);
    mtf_assert_close(sum / DRAWS, 0, 0, deviations);
    mtf_assert_close(squares / DRAWS, 1, 0, deviations * sqrt(2));
    mtf_assert_close(fourths / DRAWS, 3, 0, deviations * sqrt(96));
    mtf_assert_close(beyond_2 / DRAWS, 0.0455002639, 0, deviations * 0.2084);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_the_known_answers),
        cmocka_unit_test(a_cursor_walks_its_stream_and_a_copy_goes_on_alike),
        cmocka_unit_test(uniform_is_uniform_in_every_byte),
        cmocka_unit_test(below_is_uniform_and_below),
        cmocka_unit_test(neighbouring_keys_streams_and_indices_are_apart),
        cmocka_unit_test(normal_has_the_moments_and_tails_of_a_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
