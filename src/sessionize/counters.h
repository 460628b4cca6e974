/** What the sessionizer counts. Everything but `held` and `open` only grows, and all of it is what
 *  was committed: work that an abort took back is not in it. At every commit
 *
 *      in + restored = session_events + late_* + dead_* + duplicates + over_cap + too_large
 *                      + held + released                                                       */
#ifndef MTF_SESSIONIZE_COUNTERS_H
#define MTF_SESSIONIZE_COUNTERS_H

#include <stdbool.h>

#include "core/metrics.h"

// clang-format off
/** X(NAME, metric, help) */
#define MTF_SESSIONIZE_MAP(X) \
    X(IN, "records_in", "records read, replays not counted") \
    X(RESTORED, "events_restored", "events in open sessions after a replay") \
    X(SESSION_EVENTS, "session_events", "events in the sessions put out") \
    X(LATE, "late", "requests after their session closed") \
    X(LATE_NO_REQUEST, "late_no_request", "feedback and ends without their request") \
    X(LATE_DOUBLE_SIGNAL, "late_double_signal", "feedback with a signal its item brought joined") \
    X(DEAD_DECODE, "dead_decode", "dead letters: not an event") \
    X(DEAD_UNKNOWN_SCHEMA, "dead_unknown_schema", "dead letters: no such writer's schema") \
    X(DEAD_SCHEMA, "dead_schema", "dead letters: a writer's schema that does not fit") \
    X(DEAD_INVALID, "dead_invalid", "dead letters: an event that cannot be right") \
    X(DEAD_FUTURE, "dead_future_ts", "dead letters: event time ahead of the append time") \
    X(DUPLICATES, "duplicates", "events whose id was in their session already") \
    X(OVER_CAP, "over_cap", "events beyond max_events of their session") \
    X(TOO_LARGE, "too_large", "dead letters: events of sessions with a step no record can hold") \
    X(HELD, "events_held", "events in open sessions, parked ones included") \
    X(RELEASED, "events_released", "events in open sessions when their partition left") \
    X(SESSIONS_END_EVENT, "sessions_end_event", "sessions ended by an end event") \
    X(SESSIONS_GAP, "sessions_gap", "sessions ended by inactivity") \
    X(SESSIONS_CAP, "sessions_cap", "sessions cut at the cap") \
    X(SESSIONS_ID_CHANGE, "sessions_id_change", "sessions ended by another session id") \
    X(PARTS, "session_records", "session records written, one or more a session") \
    X(OPEN, "open", "open activities, parked ones included") \
    X(JUMPS, "idle_jumps", "watermark moves of quiet partitions") \
    X(JUMPS_REFUSED, "idle_jumps_refused", "idle moves the metadata has no room for") \
    X(COMMITS, "commits", "units committed") \
    X(ABORTS, "aborts", "units given up and read again") \
    X(REPLAYED, "records_replayed", "records read again to recover") \
    X(STATES_KEPT, "states_kept", "partitions that came back and went on without a replay") \
    X(CLEAN_STARTS, "clean_starts", "commits of other settings passed over, what was open lost") \
    X(STRAY_KEYS, "stray_keys", "events whose key is not their user id: their sessions may be split") \
    X(MISMATCHES, "replay_mismatches", "replays that did not reach the committed watermark") \
    X(HEADS_LOST, "heads_lost", "starts after the safe offset had left the log") \
    X(OFFSETS_LOST, "offsets_lost", "offsets that left the log before they were read")
// clang-format on

typedef enum mtf_sessionize_counter {
#define X(name, metric, help) MTF_SESSIONIZE_##name,
    MTF_SESSIONIZE_MAP(X)
#undef X
        MTF_SESSIONIZE_COUNTERS,
} mtf_sessionize_counter;

/** What became of the records that a counter counts. */
typedef enum mtf_outcome {
    MTF_OUTCOME_NONE, /* it counts no records that were read */
    MTF_OUTCOME_IN_SESSION,
    MTF_OUTCOME_LATE,
    MTF_OUTCOME_DEAD,
    MTF_OUTCOME_DUPLICATE,
    MTF_OUTCOME_OVER_CAP,
    MTF_OUTCOME_TOO_LARGE,
    MTF_OUTCOME_HELD, /* nothing yet, or no longer ours to say */
    MTF_OUTCOMES,
} mtf_outcome;

mtf_outcome mtf_sessionize_outcome_of(mtf_sessionize_counter counter);
/** Whether they are on the late or the dead-letter topic. */
static inline bool mtf_outcome_is_aside(mtf_outcome outcome)
{
    return outcome == MTF_OUTCOME_LATE || outcome == MTF_OUTCOME_DEAD ||
           outcome == MTF_OUTCOME_TOO_LARGE;
}

/** Written by the stage's thread; others may read. */
typedef struct mtf_sessionize_counters {
    mtf_counter values[MTF_SESSIONIZE_COUNTERS];
} mtf_sessionize_counters;

static inline int64_t mtf_sessionize_get(const mtf_sessionize_counters *counters,
                                         mtf_sessionize_counter counter)
{
    return mtf_counter_get(&counters->values[counter]);
}
/** What went in and has not come out yet by the sum above; 0 unless records were lost or doubled.
 */
int64_t mtf_sessionize_imbalance(const mtf_sessionize_counters *counters);
/** The part of a metric's name after "mtf_sessionize_", and its help. */
const char *mtf_sessionize_counter_name(mtf_sessionize_counter counter);
const char *mtf_sessionize_counter_help(mtf_sessionize_counter counter);

#endif
