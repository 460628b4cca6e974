#include "sessionize/counters.h"

#include <stddef.h>

mtf_outcome mtf_sessionize_outcome_of(mtf_sessionize_counter counter)
{
    static const mtf_outcome outcomes[MTF_SESSIONIZE_COUNTERS] = {
        [MTF_SESSIONIZE_SESSION_EVENTS] = MTF_OUTCOME_IN_SESSION,
        [MTF_SESSIONIZE_LATE] = MTF_OUTCOME_LATE,
        [MTF_SESSIONIZE_LATE_NO_REQUEST] = MTF_OUTCOME_LATE,
        [MTF_SESSIONIZE_LATE_DOUBLE_SIGNAL] = MTF_OUTCOME_LATE,
        [MTF_SESSIONIZE_DEAD_DECODE] = MTF_OUTCOME_DEAD,
        [MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA] = MTF_OUTCOME_DEAD,
        [MTF_SESSIONIZE_DEAD_SCHEMA] = MTF_OUTCOME_DEAD,
        [MTF_SESSIONIZE_DEAD_INVALID] = MTF_OUTCOME_DEAD,
        [MTF_SESSIONIZE_DEAD_FUTURE] = MTF_OUTCOME_DEAD,
        [MTF_SESSIONIZE_DUPLICATES] = MTF_OUTCOME_DUPLICATE,
        [MTF_SESSIONIZE_OVER_CAP] = MTF_OUTCOME_OVER_CAP,
        [MTF_SESSIONIZE_TOO_LARGE] = MTF_OUTCOME_TOO_LARGE,
        [MTF_SESSIONIZE_HELD] = MTF_OUTCOME_HELD,
        [MTF_SESSIONIZE_RELEASED] = MTF_OUTCOME_HELD,
    };
    return outcomes[counter];
}

int64_t mtf_sessionize_imbalance(const mtf_sessionize_counters *counters)
{
    int64_t left = mtf_sessionize_get(counters, MTF_SESSIONIZE_IN) +
                   mtf_sessionize_get(counters, MTF_SESSIONIZE_RESTORED);
    for (mtf_sessionize_counter i = 0; i < MTF_SESSIONIZE_COUNTERS; i++)
        if (mtf_sessionize_outcome_of(i) != MTF_OUTCOME_NONE)
            left -= mtf_sessionize_get(counters, i);
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
