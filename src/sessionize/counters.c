#include "sessionize/counters.h"

#include <stddef.h>

int64_t mtf_sessionize_imbalance(const mtf_sessionize_counters *counters)
{
    static const mtf_sessionize_counter out[] = {
        MTF_SESSIONIZE_SESSION_EVENTS,
        MTF_SESSIONIZE_LATE,
        MTF_SESSIONIZE_LATE_NO_REQUEST,
        MTF_SESSIONIZE_LATE_DOUBLE_SIGNAL,
        MTF_SESSIONIZE_DEAD_DECODE,
        MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA,
        MTF_SESSIONIZE_DEAD_SCHEMA,
        MTF_SESSIONIZE_DEAD_INVALID,
        MTF_SESSIONIZE_DEAD_FUTURE,
        MTF_SESSIONIZE_DUPLICATES,
        MTF_SESSIONIZE_OVER_CAP,
        MTF_SESSIONIZE_TOO_LARGE,
        MTF_SESSIONIZE_HELD,
        MTF_SESSIONIZE_RELEASED,
    };
    int64_t left = mtf_sessionize_get(counters, MTF_SESSIONIZE_IN) +
                   mtf_sessionize_get(counters, MTF_SESSIONIZE_RESTORED);
    for (size_t i = 0; i < sizeof out / sizeof *out; i++)
        left -= mtf_sessionize_get(counters, out[i]);
    return left;
}

const char *mtf_sessionize_counter_name(mtf_sessionize_counter counter)
{
    static const char *const names[] = {
#define X(name, metric, help) metric,
        MTF_SESSIONIZE_MAP(X)
#undef X
    };
    return names[counter];
}

const char *mtf_sessionize_counter_help(mtf_sessionize_counter counter)
{
    static const char *const helps[] = {
#define X(name, metric, help) help,
        MTF_SESSIONIZE_MAP(X)
#undef X
    };
    return helps[counter];
}
