#include "cli/audit_log.h"

#include "core/aside.h"
#include "core/clock.h"
#include "core/encode.h"

#include <stdlib.h>

#define POLL_MS  200
#define STALL_MS 60000 /* nothing comes though the end is not reached */
#define TAIL     1000  /* records before a window, to learn its watermark */

static const char sessions_topic[] = "sessions", late_topic[] = "late", dead_topic[] = "dead";

/** One partition being read. */
typedef struct reading {
    audit_log *log;
    const audit_window *window;
    audit_sheet *sheet;
    mtf_source inner;
    mtf_arena arena;
    audit_scope scope; /* of what the stage puts out now */
    bool at_window;    /* its first record waits, or there is none */
    bool waiting;
    mtf_input first;   /* of the window, while it waits */
    mtf_message now;   /* at the decoder */
    bool any;          /* a record came */
    int64_t unsure_ms; /* what began at or before it may lack what was not read */
    int64_t watermark_ms;
    int64_t heard_ns;
} reading;

static mtf_status hand_out(reading *r, const mtf_input *input)
{
    if (input->kind == MTF_INPUT_MESSAGE) {
        r->now = input->message;
        /* Whatever was appended before the first record happened by then, or is refused. */
        if (!r->any && r->window->read > 0)
            r->unsure_ms = input->message.timestamp_ms +
                           r->log->context->settings->sessionize_max_future_ms +
                           r->log->context->settings->sessionize_gap_ms;
        r->any = true;
    }
    return MTF_OK;
}

/** Nothing came, now; MTF_BROKER: nor for long. */
static mtf_status wait_on(int64_t heard_ns, mtf_err *err)
{
    if (mtf_clock_mono_ns() - heard_ns <= STALL_MS * INT64_C(1000000)) return MTF_OK;
    return mtf_fail(err, MTF_BROKER, "the log is not read to its end: nothing came for %d s",
                    STALL_MS / 1000);
}

static mtf_status poll_log(void *self, int timeout_ms, mtf_input *input, mtf_err *err)
{
    reading *r = self;
    if (r->waiting) {
        r->waiting = false;
        *input = r->first;
        return hand_out(r, input);
    }
    const mtf_status status = r->inner.poll(r->inner.self, timeout_ms, input, err);
    if (status == MTF_AGAIN) {
        const mtf_status waited = wait_on(r->heard_ns, err);
        return waited == MTF_OK ? MTF_AGAIN : waited;
    }
    if (status == MTF_CLOSED) r->at_window = true;
    if (status != MTF_OK) return status;
    r->heard_ns = mtf_clock_mono_ns();
    if (input->kind == MTF_INPUT_MESSAGE && !r->at_window &&
        input->message.offset >= r->window->from) {
        r->at_window = r->waiting = true;
        r->first = *input;
        return MTF_AGAIN;
    }
    return hand_out(r, input);
}

static mtf_status start(void *self, int32_t partition, int64_t offset, mtf_err *err)
{
    const reading *r = self;
    return r->inner.start(r->inner.self, partition, offset, err);
}

static mtf_status range(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err)
{
    const reading *r = self;
    return r->inner.range(r->inner.self, partition, first, end, err);
}

static bool is_time(int64_t time_ms)
{
    return time_ms > -MTF_TIME_LIMIT_MS / 2 && time_ms < MTF_TIME_LIMIT_MS / 2;
}

/** The watermark an event gives, by the rule of machine.h; MTF_WATERMARK_NONE for none. */
static int64_t watermark_of(const mtf_settings *s, const mtf_event *event, int64_t append_ms)
{
    const int64_t time_ms = event->event_time_ms;
    if (!is_time(time_ms) || time_ms > append_ms + s->sessionize_max_future_ms)
        return MTF_WATERMARK_NONE;
    return (time_ms < append_ms ? time_ms : append_ms) - s->sessionize_out_of_orderness_ms;
}

/** The live run's decoder: what it could not read then, nobody reads now. Also follows the
 *  watermark. */
static mtf_status decode(void *self, mtf_span value, mtf_arena *arena, mtf_event *event,
                         mtf_err *err)
{
    reading *r = self;
    const mtf_event_decoder decoder = mtf_decoder_events(r->log->decoder);
    const mtf_status status = decoder.decode(decoder.self, value, arena, event, err);
    if (status != MTF_OK) return status;
    if (audit_was_undecodable(r->log->book, r->now.partition, r->now.offset)) {
        r->sheet->decodes_now += r->scope == AUDIT_JUDGED;
        return mtf_fail(err, MTF_SKIP, "decode: it is among the dead letters");
    }
    const int64_t watermark_ms =
        watermark_of(r->log->context->settings, event, r->now.timestamp_ms);
    if (watermark_ms > r->watermark_ms) r->watermark_ms = watermark_ms;
    return MTF_OK;
}

/** What may lack something is known, and not judged. */
static audit_scope scope_at(reading *r, int64_t time_ms)
{
    if (r->scope != AUDIT_JUDGED || !r->window->clipped || time_ms > r->unsure_ms) return r->scope;
    r->sheet->left_out++;
    return AUDIT_BEFORE;
}

static mtf_status note_session(reading *r, mtf_span value, mtf_err *err)
{
    mtf_session session;
    const mtf_session_decoder decoder = mtf_decoder_sessions(r->log->decoder);
    mtf_arena_reset(&r->arena);
    const mtf_status status = decoder.decode(decoder.self, value, &r->arena, &session, err);
    if (status != MTF_OK) return status == MTF_SKIP ? MTF_CORRUPT : status; /* our own bytes */
    return audit_expect_session(r->log->book, &session, value, scope_at(r, session.started_ms),
                                r->window->partition, err);
}

static mtf_status note_late(reading *r, const mtf_origin *origin, mtf_span value, mtf_err *err)
{
    int64_t place_ms = INT64_MAX;
    mtf_event event;
    const mtf_event_decoder decoder = mtf_decoder_events(r->log->decoder);
    mtf_arena_reset(&r->arena);
    if (decoder.decode(decoder.self, value, &r->arena, &event, NULL) == MTF_OK)
        place_ms = event.kind == MTF_EVENT_FEEDBACK ? event.body.feedback.request_time_ms
                                                    : event.event_time_ms;
    return audit_expect_aside(r->log->book, AUDIT_LATE, origin->partition, origin->offset,
                              scope_at(r, place_ms), err);
}

static mtf_status put(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err)
{
    reading *r = self;
    mtf_origin origin;
    (void)key, (void)timestamp_ms;
    if (topic == sessions_topic) return note_session(r, value, err);
    const bool ours = mtf_origin_read(headers, header_count, &origin);
    MTF_ASSERT(ours);
    if (topic == late_topic) return note_late(r, &origin, value, err);
    return audit_expect_aside(r->log->book, AUDIT_DEAD, origin.partition, origin.offset, r->scope,
                              err);
}

/** Adds what the stage counted so far, times `sign`: a sheet is the difference of two moments. */
static mtf_status add_counts(reading *r, mtf_sessionize *stage, int sign, mtf_err *err)
{
    const mtf_status status = mtf_sessionize_commit(stage, err);
    if (status != MTF_OK) return status;
    audit_sheet *sheet = r->sheet;
    int64_t *const totals[MTF_OUTCOMES] = {
        [MTF_OUTCOME_IN_SESSION] = &sheet->session_events,
        [MTF_OUTCOME_LATE] = &sheet->late,
        [MTF_OUTCOME_DEAD] = &sheet->dead,
        [MTF_OUTCOME_DUPLICATE] = &sheet->duplicates,
        [MTF_OUTCOME_OVER_CAP] = &sheet->over_cap,
        [MTF_OUTCOME_TOO_LARGE] = &sheet->too_large,
    };
    const mtf_sessionize_counters *counts = mtf_sessionize_count(stage);
    sheet->records += sign * mtf_sessionize_get(counts, MTF_SESSIONIZE_IN);
    for (mtf_sessionize_counter i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        int64_t *total = totals[mtf_sessionize_outcome_of(i)];
        if (total) *total += sign * mtf_sessionize_get(counts, i);
    }
    *(sign < 0 ? &sheet->open_before : &sheet->open_after) =
        mtf_sessionize_get(counts, MTF_SESSIONIZE_HELD);
    return MTF_OK;
}

/** To the window, through it, and then whatever is still open. */
static mtf_status run_stage(reading *r, mtf_sessionize *stage, mtf_err *err)
{
    const atomic_bool never = false;
    mtf_status status = MTF_OK;
    while (status == MTF_OK) {
        if (atomic_load(r->log->context->stop)) return mtf_fail(err, MTF_CLOSED, "stopped");
        status = mtf_sessionize_step(stage, POLL_MS, err);
        if (!r->at_window || r->scope != AUDIT_BEFORE) continue;
        const mtf_status counted = add_counts(r, stage, -1, err);
        if (counted != MTF_OK) return counted;
        r->scope = AUDIT_JUDGED;
    }
    if (status == MTF_CLOSED) status = add_counts(r, stage, 1, err);
    r->scope = AUDIT_OPEN;
    return status == MTF_OK ? mtf_sessionize_run(stage, &never, err) : status;
}

mtf_status audit_log_read(audit_log *log, const audit_window *window, audit_sheet *sheet,
                          mtf_err *err)
{
    const stage_context *context = log->context;
    const mtf_settings *s = context->settings;
    const mtf_kafka_stretch stretch = {window->partition, window->read, window->to};
    reading r = {.log = log,
                 .window = window,
                 .sheet = sheet,
                 .scope = AUDIT_BEFORE,
                 .unsure_ms = INT64_MIN,
                 .watermark_ms = MTF_WATERMARK_NONE,
                 .heard_ns = mtf_clock_mono_ns()};
    mtf_source source = {.self = &r, .poll = poll_log, .start = start, .range = range};
    mtf_sink sink = {.self = &r,
                     .begin = mtf_sink_no_unit,
                     .put = put,
                     .commit = mtf_sink_no_commit,
                     .abort = mtf_sink_no_unit,
                     .value_bytes_max = log->value_bytes_max};
    const mtf_event_decoder decoder = {.self = &r, .decode = decode};
    mtf_sessionize_config config = stage_sessionize_config(context, log->decoder);
    mtf_sessionize *stage = NULL;
    *sheet = (audit_sheet){0};
    config.sessions_topic = sessions_topic;
    config.late_topic = late_topic;
    config.dead_letter_topic = dead_topic;
    config.idle_timeout_ms = 0;
    config.errors_max_consecutive = 0;
    config.close_at_end = true;
    config.log = NULL;
    mtf_status status =
        mtf_kafka_finite_open(s, context->log, s->topics_exploration, &stretch, 1, &r.inner, err);
    if (status == MTF_OK)
        status =
            mtf_sessionize_open(&config, &source, &sink, &decoder, mtf_session_encode, &stage, err);
    if (status == MTF_OK) status = run_stage(&r, stage, err);
    mtf_sessionize_close(stage);
    if (r.inner.close) r.inner.close(r.inner.self);
    mtf_arena_fini(&r.arena);
    if (r.unsure_ms > log->judged_from_ms) log->judged_from_ms = r.unsure_ms;
    const int64_t open_ms = r.watermark_ms - s->sessionize_gap_ms - s->sessionize_grace_ms;
    if (r.any && open_ms < log->judged_to_ms) log->judged_to_ms = open_ms;
    if (!r.any && window->more) log->judged_to_ms = INT64_MIN; /* who knows when that was */
    return status;
}

int64_t audit_sheet_imbalance(const audit_sheet *sheet)
{
    return sheet->open_before + sheet->records - sheet->session_events - sheet->late - sheet->dead -
           sheet->duplicates - sheet->over_cap - sheet->too_large - sheet->open_after;
}

static void note_watermark(const audit_log *log, const mtf_message *message, mtf_arena *arena,
                           int64_t *watermark_ms)
{
    mtf_event event;
    const mtf_event_decoder decoder = mtf_decoder_events(log->decoder);
    mtf_arena_reset(arena);
    if (decoder.decode(decoder.self, message->value, arena, &event, NULL) != MTF_OK) return;
    const int64_t w = watermark_of(log->context->settings, &event, message->timestamp_ms);
    if (w != MTF_WATERMARK_NONE && (*watermark_ms == INT64_MAX || w > *watermark_ms))
        *watermark_ms = w;
}

mtf_status audit_log_watermarks(audit_log *log, const audit_window *windows, int32_t count,
                                int64_t *watermarks_ms, mtf_err *err)
{
    const stage_context *context = log->context;
    mtf_kafka_stretch *tails = calloc((size_t)count, sizeof *tails);
    mtf_arena arena = {0};
    mtf_source source = {0};
    mtf_input input;
    int64_t heard_ns = mtf_clock_mono_ns();
    if (!tails) return mtf_fail(err, MTF_NOMEM, "no memory for %d partitions", count);
    for (int32_t i = 0; i < count; i++) {
        const int64_t from = windows[i].from, first = windows[i].first;
        tails[i] = (mtf_kafka_stretch){i, from - first > TAIL ? from - TAIL : first, from};
        watermarks_ms[i] = INT64_MAX;
    }
    mtf_status status = mtf_kafka_finite_open(context->settings, context->log,
                                              context->settings->topics_exploration, tails,
                                              (size_t)count, &source, err);
    while (status == MTF_OK) {
        status = atomic_load(context->stop) ? mtf_fail(err, MTF_CLOSED, "stopped")
                                            : source.poll(source.self, POLL_MS, &input, err);
        if (status == MTF_OK && input.kind == MTF_INPUT_ASSIGN)
            status = source.start(source.self, input.partition, tails[input.partition].first, err);
        else if (status == MTF_OK && input.kind == MTF_INPUT_MESSAGE)
            note_watermark(log, &input.message, &arena, &watermarks_ms[input.partition]);
        if (status == MTF_OK) heard_ns = mtf_clock_mono_ns();
        if (status == MTF_AGAIN) status = wait_on(heard_ns, err);
    }
    if (source.close) source.close(source.self);
    mtf_arena_fini(&arena);
    free(tails);
    return status == MTF_CLOSED && !atomic_load(context->stop) ? MTF_OK : status;
}
