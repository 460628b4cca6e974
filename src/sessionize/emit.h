/** What a closed activity becomes: a pure function of its records sorted by (event time, event id).
 *
 *  1. Requests and ends take their session_id; a null one inherits the nearest earlier, leading
 *     nulls take the first there is. Each id is a session of its own, also when ids interleave.
 *  2. A SessionEnd closes its id's session; what comes later under that id is another.
 *  3. Feedback goes to its request's item, wherever the request went, in order of the feedback's
 * own (event time, event id). It never cuts, names or lengthens a session.
 *  4. Set aside as late: feedback without its request or item, and ends of a session without a
 *     request (no_request); feedback with a signal its item brought joined (double_signal).
 *
 *  Flags: the first session has truncated_head when the activity starts so close to its bucket's
 *  start that the bucket before could have touched it, or where the log was entered in the middle.
 *  end_reason is end_event where an end came; id_change where a request of another id follows;
 *  else cap (and truncated_tail) when the next bucket could have touched the activity, else gap.
 *  A session that may miss content dropped for max_events has truncated_tail. */
#ifndef MTF_SESSIONIZE_EMIT_H
#define MTF_SESSIONIZE_EMIT_H

#include "core/session.h"
#include "sessionize/activity.h"
#include "sessionize/aggregate.h"

typedef enum mtf_aside_reason {
    MTF_ASIDE_NO_REQUEST,
    MTF_ASIDE_DOUBLE_SIGNAL,
} mtf_aside_reason;

/** A record that is in no session: for the late topic. */
typedef struct mtf_aside {
    const mtf_record *record; /* never a request */
    mtf_aside_reason reason;
} mtf_aside;

#define MTF_NO_SESSION UINT32_MAX

typedef struct mtf_emission {
    const mtf_record *records; /* the activity's, unpacked */
    mtf_session *sessions;     /* by their first request's (time, id) */
    uint32_t *event_counts;    /* of each session: its requests, its end, the feedback it took */
    uint32_t session_count;
    uint32_t *session_of; /* of each record of the activity; MTF_NO_SESSION: set aside */
    mtf_aside *asides;    /* in the activity's record order */
    uint32_t aside_count;
} mtf_emission;

typedef struct mtf_emit_config {
    int64_t gap_ms, max_duration_ms;
    const mtf_aggregators *aggregators;
} mtf_emit_config;

/** Memory from the arena; texts and floats borrowed from the activity. headless_ms as in mtf_place.
 *  MTF_NOMEM. */
mtf_status mtf_emit(const mtf_emit_config *config, const mtf_activity *activity,
                    int64_t headless_ms, mtf_arena *arena, mtf_emission *emission,
                    mtf_err *err) MTF_NODISCARD;

#endif
