/** A closed session (schemas/session.avsc): what the sessionizer emits and the learner reads. */
#ifndef MTF_SESSION_H
#define MTF_SESSION_H

#include "core/event.h"

typedef enum mtf_end_reason {
    MTF_END_EVENT,
    MTF_END_GAP,
    MTF_END_CAP,
    MTF_END_ID_CHANGE
} mtf_end_reason;

/** A request with its items' signals aggregated (joined signals and feedback together). */
typedef struct mtf_step {
    mtf_str event_id;
    int64_t time_ms;
    mtf_request request;
} mtf_step;

typedef struct mtf_session {
    uint8_t session_id[16]; /* XXH3-128 of (user, first event's id), length-prefixed */
    mtf_str user_id;
    int64_t started_ms, ended_ms; /* of its first and last joined record */
    mtf_end_reason end_reason;
    bool truncated_head; /* what came before the first step may be missing */
    bool truncated_tail; /* what came after the last step may be missing: it is no true end */
    uint32_t part,
        parts; /* 0 of 1, unless split for size; every part but the last is followed by the next */
    mtf_step *steps;
    uint32_t step_count;
} mtf_session;

/** Which cap bucket a time of a user falls into: floor((t + h(user)) / max_duration), h(user) =
 *  XXH3-64(user) mod max_duration. No session spans two buckets. */
int64_t mtf_session_bucket(mtf_str user_id, int64_t time_ms, int64_t max_duration_ms);

#endif
