#include "cli/file_sessions.h"

#include <stdio.h>

#include "cli/stages.h"
#include "ingest/container.h"
#include "ingest/encode.h"

/** A sink that hands sessions on and counts the rest. */
typedef struct receiver {
    const file_sessions *to;
    const char *sessions_topic;
    mtf_session_decoder decoder;
    mtf_arena arena;
    int64_t session_records, set_aside;
} receiver;

static mtf_status receiver_put(void *self, const char *topic, mtf_span key, mtf_span value,
                               const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                               mtf_err *err)
{
    (void)key, (void)headers, (void)header_count, (void)timestamp_ms;
    receiver *r = self;
    if (strcmp(topic, r->sessions_topic) != 0) {
        r->set_aside++;
        return MTF_OK;
    }
    r->session_records++;
    if (!r->to->take) return MTF_OK;
    mtf_session session;
    mtf_status status = r->decoder.decode(r->decoder.self, value, &r->arena, &session, err);
    if (status == MTF_OK) status = r->to->take(r->to->arg, &session, err);
    mtf_arena_reset(&r->arena);
    return status;
}

static mtf_status receiver_begin(void *self, mtf_err *err)
{
    (void)self, (void)err;
    return MTF_OK;
}

static mtf_status receiver_commit(void *self, const mtf_position *positions, size_t count,
                                  mtf_err *err)
{
    (void)positions, (void)count;
    const receiver *r = self;
    return r->to->settle ? r->to->settle(r->to->arg, err) : MTF_OK;
}

static void print_summary(const char *command, const receiver *r,
                          const mtf_sessionize_counters *counts)
{
    fprintf(stderr, "%s: %lld events, %lld session records, %lld set aside%s", command,
            (long long)mtf_sessionize_get(counts, MTF_SESSIONIZE_IN), (long long)r->session_records,
            (long long)r->set_aside, r->set_aside ? ":" : "");
    for (mtf_sessionize_counter i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        const int64_t value = mtf_sessionize_get(counts, i);
        if (value && mtf_outcome_is_aside(mtf_sessionize_outcome_of(i)))
            fprintf(stderr, " %s=%lld", mtf_sessionize_counter_name(i), (long long)value);
    }
    fputc('\n', stderr);
}

mtf_status file_sessions_read(mtf_cli *cli, const char *command, const file_sessions *to,
                              mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    const stage_context context = {s, &cli->log, cli->stop, cli->fail_fast};
    mtf_decoder *decoder = NULL;
    mtf_source source = {0};
    mtf_sessionize *loop = NULL;
    receiver r = {.to = to, .sessions_topic = s->topics_sessions};
    mtf_sink sink = {.self = &r,
                     .begin = receiver_begin,
                     .put = receiver_put,
                     .commit = receiver_commit,
                     .abort = receiver_begin,
                     .value_bytes_max = SIZE_MAX};
    mtf_status status = stage_decoder_open(s, STAGE_FILE_EVENTS, &decoder, err);
    if (status == MTF_OK) {
        r.decoder = mtf_decoder_sessions(decoder);
        status = mtf_container_source((const char *const *)cli->words, (size_t)cli->word_count,
                                      s->topics_exploration, decoder, &source, err);
    }
    const mtf_event_decoder events = decoder ? mtf_decoder_events(decoder) : (mtf_event_decoder){0};
    if (status == MTF_OK) {
        mtf_sessionize_config config = stage_sessionize_config(&context, decoder);
        config.close_at_end = true;
        status =
            mtf_sessionize_open(&config, &source, &sink, &events, mtf_session_encode, &loop, err);
    }
    if (status == MTF_OK) status = mtf_sessionize_run(loop, context.stop, err);
    if (status == MTF_OK) status = sessionize_report(context.log, mtf_sessionize_count(loop), err);
    if (status == MTF_OK) print_summary(command, &r, mtf_sessionize_count(loop));
    if (status == MTF_OK && atomic_load(context.stop))
        status = mtf_fail(err, MTF_CLOSED, "%s: stopped before the end of the events", command);
    if (loop) mtf_sessionize_close(loop);
    if (source.close) source.close(source.self);
    mtf_decoder_close(decoder);
    mtf_arena_fini(&r.arena);
    return status;
}
