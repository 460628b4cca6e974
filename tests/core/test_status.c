/** Goal: a failure carries its status and its words, whatever their length, and words are optional.
 *  Method: fill an error in each way a caller may. */
#include "support/mtf_test.h"

#include "core/clock.h"

static void fail_returns_the_status_and_fills_the_words(void **state)
{
    (void)state;
    mtf_err err = {0};
    assert_int_equal(mtf_fail(&err, MTF_IO, "open %s: %d", "x", 5), MTF_IO);
    assert_int_equal(err.status, MTF_IO);
    assert_string_equal(err.msg, "open x: 5");
}

static void fail_takes_no_error_struct(void **state)
{
    (void)state;
    assert_int_equal(mtf_fail(NULL, MTF_CORRUPT, "%s", "unwanted"), MTF_CORRUPT);
}

static void long_words_are_cut_and_terminated(void **state)
{
    (void)state;
    struct {
        mtf_err err;
        char after[8];
    } guarded = {.after = "intact"};
    assert_int_equal(mtf_fail(&guarded.err, MTF_INVALID, "%01000d", 7), MTF_INVALID);
    assert_int_equal(strlen(guarded.err.msg), sizeof guarded.err.msg - 1);
    assert_string_equal(guarded.after, "intact");
}

static void every_status_has_its_own_text(void **state)
{
    (void)state;
    for (int a = MTF_OK; a <= MTF_CORRUPT; a++) {
        assert_true(strlen(mtf_status_text((mtf_status)a)) > 0);
        for (int b = MTF_OK; b < a; b++) {
            assert_string_not_equal(mtf_status_text((mtf_status)a), mtf_status_text((mtf_status)b));
        }
    }
}

static void clocks_move_forward(void **state)
{
    (void)state;
    const int64_t year_2020_ms = 1577836800000, year_2200_ms = 7258118400000;
    const int64_t start_ns = mtf_clock_mono_ns();
    assert_in_range(mtf_clock_wall_ms(), year_2020_ms, year_2200_ms);
    assert_true(mtf_clock_mono_ns() >= start_ns);
    const int64_t coarse_ms = mtf_clock_coarse_ms(); /* the same clock, a tick behind */
    assert_in_range(mtf_clock_mono_ns() / 1000000 - coarse_ms, 0, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_returns_the_status_and_fills_the_words),
        cmocka_unit_test(fail_takes_no_error_struct),
        cmocka_unit_test(long_words_are_cut_and_terminated),
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(clocks_move_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
