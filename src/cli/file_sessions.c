#include "cli/file_sessions.h"

#include <stdio.h>

#include "cli/stages.h"
#include "ingest/container.h"
#include "core/encode.h"
#include "ingest/session_file.h"

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

static mtf_status read_events(mtf_cli *cli, const char *command, const file_sessions *to,
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

/* -- files of sessions ------------------------------------------- */

#define SETTLE_EVERY 1000 /* sessions */

static mtf_status read_file(const mtf_cli *cli, const char *path, const file_sessions *to,
                            int64_t *taken, int64_t *bad, mtf_err *err)
{
    mtf_action_table table;
    mtf_session_file *file = NULL;
    mtf_status status = mtf_action_table_parse(&table, cli->settings.policy_actions, err);
    const mtf_dims dims = {(uint32_t)cli->settings.policy_state_dim, table.count,
                           cli->settings.policy_list > 0};
    if (status == MTF_OK) status = mtf_session_file_open(path, dims, &file, err);
    while (status == MTF_OK && !atomic_load(cli->stop)) {
        mtf_session session;
        status = mtf_session_file_next(file, &session, err);
        if (status == MTF_SKIP) {
            ++*bad;
            status = MTF_OK;
            continue;
        }
        if (status == MTF_OK && to->take) status = to->take(to->arg, &session, err);
        if (status == MTF_OK && ++*taken % SETTLE_EVERY == 0 && to->settle)
            status = to->settle(to->arg, err);
    }
    mtf_session_file_close(file);
    return status == MTF_CLOSED ? MTF_OK : status;
}

static mtf_status read_sessions(mtf_cli *cli, const char *command, const file_sessions *to,
                                mtf_err *err)
{
    int64_t taken = 0, bad = 0;
    mtf_status status = MTF_OK;
    mtf_err last = {0};
    for (int i = 0; i < cli->word_count && status == MTF_OK; i++)
        status = read_file(cli, cli->words[i], to, &taken, &bad, &last);
    if (status != MTF_OK) return mtf_fail(err, status, "%s", last.msg);
    if (to->settle) status = to->settle(to->arg, err);
    fprintf(stderr, "%s: %lld session records, %lld that the settings do not fit\n", command,
            (long long)taken, (long long)bad);
    if (status == MTF_OK && atomic_load(cli->stop))
        status = mtf_fail(err, MTF_CLOSED, "%s: stopped before the end of the sessions", command);
    return status;
}

mtf_status file_sessions_read(mtf_cli *cli, const char *command, const file_sessions *to,
                              mtf_err *err)
{
    bool first = false;
    for (int i = 0; i < cli->word_count; i++) {
        bool sessions;
        const mtf_status status = mtf_session_file_is(cli->words[i], &sessions, err);
        if (status != MTF_OK) return status;
        if (i == 0) first = sessions;
        if (sessions != first)
            return mtf_fail(err, MTF_INVALID,
                            "%s: %.150s holds %s, %.150s does not: give files of one kind", command,
                            cli->words[0], first ? "sessions" : "events", cli->words[i]);
    }
    return (first ? read_sessions : read_events)(cli, command, to, err);
}
