#include "core/session.h"

#include "core/hash.h"

int64_t mtf_session_bucket(mtf_str user_id, int64_t time_ms, int64_t max_duration_ms)
{
    MTF_ASSERT(max_duration_ms > 0);
    const int64_t shift =
        (int64_t)(mtf_hash64(user_id.data, user_id.size) % (uint64_t)max_duration_ms);
    /* Floor division of time + shift, without overflow at the ends of time. */
    const int64_t quotient = time_ms / max_duration_ms, rest = time_ms % max_duration_ms + shift;
    return quotient + (rest < 0 ? -1 : rest >= max_duration_ms);
}
