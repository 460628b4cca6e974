/** Sessions of events that were late: the same machine over one user's events, as a finite log of
 *  its own. */
#ifndef MTF_CLI_LATE_SESSIONS_H
#define MTF_CLI_LATE_SESSIONS_H

#include "core/codec.h"
#include "core/pipe.h"
#include "sessionize/loop.h"

/** An event of the late topic, with the decoded fields that sort it. */
typedef struct late_event {
    int32_t partition; /* its place in the late topic */
    int64_t offset;
    int64_t append_ms; /* when it was first appended, to the topic it came from */
    int64_t time_ms;   /* when it happened; a feedback never before its request */
    bool request;      /* at one time, requests come first */
    uint8_t *raw;      /* owned: key, value, user id */
    uint32_t key_size, user_size;
    uint32_t value_size;
} late_event;

static inline mtf_str late_event_user(const late_event *event)
{
    const uint8_t *user = event->raw + event->key_size + event->value_size;
    return (mtf_str){(const char *)user, event->user_size};
}

/** Copies what must be kept. MTF_NOMEM. */
mtf_status late_event_init(late_event *late, const mtf_message *message, int64_t append_ms,
                           const mtf_event *event, mtf_err *err) MTF_NODISCARD;
void late_event_fini(late_event *late);
/** By user, then by time, for qsort. */
int late_event_compare(const void *a, const void *b);

/** What came of one user's events. */
typedef struct late_result {
    int64_t sessions, records, session_events; /* sessions, their records, the events in them */
    int64_t duplicates, over_cap;              /* events that are in none, and never will be */
} late_result;

typedef struct late_sessions {
    mtf_sessionize_config config; /* settings'; topics, flags and clock are set here */
    mtf_event_decoder decoder;
    size_t value_bytes_max;
    /** Takes a session record; its failure is the build's. */
    mtf_status (*put)(void *arg, mtf_span key, mtf_span value, mtf_err *err);
    void *arg;
} late_sessions;

/** Runs the machine over `count` sorted events of one user and closes at their end. unmatched[i]:
 *  NULL, or why event i is in no session though it may yet be in one: it stays on the late topic.
 *  Every session is marked truncated at both ends: the session these events missed is out already.
 *  MTF_NOMEM, or what put returned. */
mtf_status late_sessions_build(const late_sessions *build, const late_event *events, size_t count,
                               const char **unmatched, late_result *result,
                               mtf_err *err) MTF_NODISCARD;

#endif
