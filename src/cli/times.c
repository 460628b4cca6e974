#include "cli/times.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)

/** Days since the epoch of a date of the Gregorian calendar (years 0 to 9999): the years are
 *  counted from March, so that the odd day comes last. */
static int64_t days_of(int year, int month, int day)
{
    const int64_t y = month > 2 ? year : year - 1;
    const int64_t m = month > 2 ? month - 3 : month + 9;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719469;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && leap ? 29 : days[month - 1];
}

/** Reads exactly `digits` digits and what follows them; false when they are not there. */
static bool take(const char **at, int digits, int *number)
{
    *number = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9') return false;
        *number = 10 * *number + (**at - '0');
    }
    return true;
}

static bool skip(const char **at, char c)
{
    if (**at != c) return false;
    (*at)++;
    return true;
}

/** The time of day behind a date, each part optional. */
static bool take_clock(const char **at, int64_t *clock_ms)
{
    int hour = 0, minute = 0, second = 0, ms = 0;
    *clock_ms = 0;
    if (!skip(at, 'T') && !skip(at, ' ')) return true;
    if (!take(at, 2, &hour) || !skip(at, ':') || !take(at, 2, &minute)) return false;
    if (skip(at, ':')) {
        if (!take(at, 2, &second)) return false;
        if (skip(at, '.') && !take(at, 3, &ms)) return false;
    }
    *clock_ms = ((hour * INT64_C(60) + minute) * 60 + second) * 1000 + ms;
    return hour < 24 && minute < 60 && second < 60;
}

static bool parse_date(const char *text, int64_t *time_ms)
{
    int year, month, day;
    int64_t clock_ms;
    const char *at = text;
    if (!take(&at, 4, &year) || !skip(&at, '-') || !take(&at, 2, &month) || !skip(&at, '-') ||
        !take(&at, 2, &day) || month < 1 || month > 12 || day < 1 ||
        day > month_days(year, month) || !take_clock(&at, &clock_ms))
        return false;
    skip(&at, 'Z');
    *time_ms = days_of(year, month, day) * DAY_MS + clock_ms;
    return *at == '\0';
}

mtf_status times_parse(const char *option, const char *text, int64_t *time_ms, mtf_err *err)
{
    char *end = NULL;
    errno = 0;
    *time_ms = strtoll(text, &end, 10);
    const bool number = !errno && end != text && !*end && text[0] >= '0' && text[0] <= '9';
    if ((number && *time_ms < INT64_C(1) << 53) || parse_date(text, time_ms)) return MTF_OK;
    return mtf_fail(err, MTF_INVALID,
                    "%s: '%.100s' is no time; say 2026-03-01T12:34:56Z (UTC; the clock's part may "
                    "be left out) or milliseconds since 1970",
                    option, text);
}

void times_print(int64_t time_ms, char text[32])
{
    const int64_t days = time_ms / DAY_MS - (time_ms % DAY_MS < 0);
    const int64_t clock_ms = time_ms - days * DAY_MS;
    int64_t year = 1970 + days / 366; /* never too late; a few steps up */
    if (time_ms < 0 || days > 2932896) {
        snprintf(text, 32, "%" PRId64, time_ms);
        return;
    }
    while (days_of((int)year + 1, 1, 1) <= days) year++;
    int month = 1;
    while (month < 12 && days_of((int)year, month + 1, 1) <= days) month++;
    const int day = (int)(days - days_of((int)year, month, 1)) + 1;
    const unsigned ms = (unsigned)clock_ms % 1000, s = (unsigned)clock_ms / 1000 % 86400;
    snprintf(text, 32, "%04d-%02d-%02dT%02u:%02u:%02u.%03uZ", (int)(year % 10000), month, day % 100,
             s / 3600, s / 60 % 60, s % 60, ms);
}
