#include "cli/late_sessions.h"

#include "core/aside.h"
#include "core/encode.h"

#include <stdlib.h>

mtf_status late_event_init(late_event *late, const mtf_message *message, int64_t append_ms,
                           const mtf_event *event, mtf_err *err)
{
    int64_t time_ms = event->event_time_ms;
    if (event->kind == MTF_EVENT_FEEDBACK && event->body.feedback.request_time_ms > time_ms)
        time_ms = event->body.feedback.request_time_ms;
    *late = (late_event){
        .partition = message->partition,
        .offset = message->offset,
        .append_ms = append_ms,
        .time_ms = time_ms,
        .request = event->kind == MTF_EVENT_REQUEST,
        .key_size = (uint32_t)message->key.size,
        .value_size = (uint32_t)message->value.size,
        .user_size = event->user_id.size,
        .raw = malloc(message->key.size + message->value.size + event->user_id.size + 1),
    };
    if (!late->raw) return mtf_fail(err, MTF_NOMEM, "no memory for a late event");
    uint8_t *at = late->raw;
    if (late->key_size) memcpy(at, message->key.data, late->key_size);
    at += late->key_size;
    if (late->value_size) memcpy(at, message->value.data, late->value_size);
    at += late->value_size;
    if (late->user_size) memcpy(at, event->user_id.data, late->user_size);
    return MTF_OK;
}

void late_event_fini(late_event *late)
{
    free(late->raw);
    late->raw = NULL;
}

int late_event_compare(const void *a, const void *b)
{
    const late_event *x = a, *y = b;
    const int user = mtf_str_compare(late_event_user(x), late_event_user(y));
    if (user) return user;
    if (x->time_ms != y->time_ms) return x->time_ms < y->time_ms ? -1 : 1;
    if (x->request != y->request) return x->request ? -1 : 1;
    if (x->partition != y->partition) return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/** The events as a log of one partition, and what comes out of it. */
typedef struct small_log {
    const late_sessions *build;
    const late_event *events;
    size_t count, next;
    bool assigned;
    const char **unmatched;
    int64_t records;
    mtf_status put_status; /* of build->put, when it failed */
} small_log;

static const char sessions_topic[] = "sessions", late_topic[] = "late", dead_topic[] = "dead";

static mtf_status poll_log(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    small_log *log = self;
    (void)timeout_ms, (void)err;
    input->partition = 0;
    if (!log->assigned) {
        log->assigned = true;
        input->kind = MTF_INPUT_ASSIGN;
        input->committed_offset = -1;
        input->metadata[0] = '\0';
        return MTF_OK;
    }
    if (log->next == log->count) return MTF_CLOSED;
    const late_event *event = &log->events[log->next];
    input->kind = MTF_INPUT_MESSAGE;
    input->message = (mtf_message){
        .topic = mtf_str_of(late_topic),
        .offset = (int64_t)log->next++,
        .timestamp_ms = event->append_ms,
        .key = {event->key_size ? event->raw : NULL, event->key_size},
        .value = {event->raw + event->key_size, event->value_size},
    };
    return MTF_OK;
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    (void)self, (void)partition, (void)offset, (void)err;
    return MTF_OK;
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    (void)partition, (void)err;
    *first = 0;
    *end = (int64_t)((const small_log *)self)->count;
    return MTF_OK;
}

static mtf_status put(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    small_log *log = self;
    mtf_origin origin;
    (void)timestamp_ms;
    if (topic == sessions_topic) {
        log->records++;
        log->put_status = log->build->put(log->build->arg, key, value, err);
        /* The stage would read it all again; whoever built does, from the topic. */
        return log->put_status == MTF_AGAIN ? MTF_BROKER : log->put_status;
    }
    const bool ours = mtf_origin_read(headers, header_count, &origin);
    MTF_ASSERT(ours && origin.offset < (int64_t)log->count);
    log->unmatched[origin.offset] = mtf_str_is(origin.reason, "no_request")      ? "no_request"
                                    : mtf_str_is(origin.reason, "double_signal") ? "double_signal"
                                    : mtf_str_is(origin.reason, "too_large")     ? "too_large"
                                                                                 : "refused";
    return MTF_OK;
}

static mtf_status encode_truncated(const mtf_session *session, mtf_buf *out, mtf_err *err)
{
    mtf_session marked = *session;
    marked.truncated_head = marked.truncated_tail = true;
    return mtf_session_encode(&marked, out, err);
}

static int64_t no_clock(void *arg)
{
    (void)arg;
    return 0;
}

mtf_status late_sessions_build(const late_sessions *build, const late_event *events, size_t count,
                               const char **unmatched, late_result *result, mtf_err *err)
{
    small_log log = {.build = build, .events = events, .count = count, .unmatched = unmatched};
    mtf_source source = {.self = &log, .poll = poll_log, .start = start, .range = range};
    mtf_sink sink = {.self = &log,
                     .begin = mtf_sink_no_unit,
                     .put = put,
                     .commit = mtf_sink_no_commit,
                     .abort = mtf_sink_no_unit,
                     .value_bytes_max = build->value_bytes_max};
    mtf_sessionize_config config = build->config;
    mtf_sessionize *stage = NULL;
    const atomic_bool stop = false;
    config.sessions_topic = sessions_topic;
    config.late_topic = late_topic;
    config.dead_letter_topic = dead_topic;
    config.idle_timeout_ms = 0;
    config.errors_max_consecutive = 0;
    config.close_at_end = true;
    config.log = NULL;
    config.now_ms = no_clock;
    for (size_t i = 0; i < count; i++) unmatched[i] = NULL;
    mtf_status status = mtf_sessionize_open(&config, &source, &sink, &build->decoder,
                                            encode_truncated, &stage, err);
    if (status == MTF_OK) status = mtf_sessionize_run(stage, &stop, err);
    if (status == MTF_OK) {
        const mtf_sessionize_counters *counts = mtf_sessionize_count(stage);
        result->sessions += mtf_sessionize_get(counts, MTF_SESSIONIZE_SESSIONS_END_EVENT) +
                            mtf_sessionize_get(counts, MTF_SESSIONIZE_SESSIONS_GAP) +
                            mtf_sessionize_get(counts, MTF_SESSIONIZE_SESSIONS_CAP) +
                            mtf_sessionize_get(counts, MTF_SESSIONIZE_SESSIONS_ID_CHANGE);
        result->records += log.records;
        result->session_events += mtf_sessionize_get(counts, MTF_SESSIONIZE_SESSION_EVENTS);
        result->duplicates += mtf_sessionize_get(counts, MTF_SESSIONIZE_DUPLICATES);
        result->over_cap += mtf_sessionize_get(counts, MTF_SESSIONIZE_OVER_CAP);
    }
    mtf_sessionize_close(stage);
    return log.put_status ? log.put_status : status;
}
