/** Goal: a time on the command line means one instant, in UTC, and nothing else is taken for one.
 *  Method: instants known from date(1), and every hour of years round leap days there and back. */
#include "cli/times.h"
#include "support/mtf_test.h"

#include <string.h>

static void assert_time(const char *text, int64_t expected_ms)
{
    mtf_err err = {0};
    int64_t time_ms = -1;
    mtf_assert_ok(times_parse("--from", text, &time_ms, &err), &err);
    if (time_ms != expected_ms) fail_msg("%s is %" PRId64, text, time_ms);
}

static void times_are_read_as_utc(void **state)
{
    (void)state;
    assert_time("0", 0);
    assert_time("1700000000123", 1700000000123);
    assert_time("1970-01-01", 0);
    assert_time("2000-02-29", INT64_C(951782400000));
    assert_time("2026-03-01", INT64_C(1772323200000));
    assert_time("2026-03-01T12:34Z", INT64_C(1772368440000));
    assert_time("2026-03-01T12:34:56", INT64_C(1772368496000));
    assert_time("2026-03-01 12:34:56.789Z", INT64_C(1772368496789));
}

static void other_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "now",
                                        "-5",
                                        "12 ",
                                        "1e3",
                                        "99999999999999999",
                                        "2026-3-1",
                                        "2026-13-01",
                                        "2026-02-29",
                                        "2026-00-10",
                                        "2026-03-01T24:00",
                                        "2026-03-01T12",
                                        "2026-03-01T12:60",
                                        "2026-03-01T12:34:56.7",
                                        "2026-03-01T12:34:56+01:00",
                                        "2026-03-01T",
                                        "2026-03-01Zx"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        mtf_err err = {0};
        int64_t time_ms;
        if (times_parse("--to", texts[i], &time_ms, &err) != MTF_INVALID)
            fail_msg("'%s' was taken for %" PRId64, texts[i], time_ms);
        assert_non_null(strstr(err.msg, "--to"));
    }
}

static void printed_times_are_read_back(void **state)
{
    (void)state;
    char text[32];
    const int64_t starts[] = {0, INT64_C(951696000000), INT64_C(4107456000000),
                              INT64_C(253370764800000)}; /* 1970, 2000, 2100, 9999 */
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        for (int64_t hour = 0; hour < 24 * 366; hour++) {
            const int64_t time_ms =
                starts[s] + hour * 3600000 - (s == 3 ? 30 * INT64_C(86400000) : 0) + 7;
            times_print(time_ms, text);
            assert_time(text, time_ms);
        }
    }
    times_print(-5, text);
    assert_string_equal(text, "-5");
    times_print(INT64_MAX, text);
    assert_string_equal(text, "9223372036854775807");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_as_utc),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(printed_times_are_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
