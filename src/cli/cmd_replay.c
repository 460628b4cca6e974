/** `mtf replay FILE...`: Avro container files of events -> sessions, by the same machine as on
 * Kafka. */
#include "cli/cli.h"
#include "cli/session_json.h"
#include "cli/stages.h"
#include "ingest/container.h"
#include "ingest/encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/** A sink that prints sessions as JSON lines and counts the rest. */
typedef struct printer {
    FILE *out; /* NULL: count only */
    const char *path, *sessions_topic;
    mtf_session_decoder decoder;
    mtf_arena arena;
    mtf_buf line;
    int64_t session_records, set_aside;
} printer;

static mtf_status printer_put(void *self, const char *topic, mtf_span key, mtf_span value,
                              const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                              mtf_err *err)
{
    (void)key, (void)headers, (void)header_count, (void)timestamp_ms;
    printer *p = self;
    if (strcmp(topic, p->sessions_topic) != 0) {
        p->set_aside++;
        return MTF_OK;
    }
    p->session_records++;
    if (!p->out) return MTF_OK;
    mtf_session session;
    const mtf_status status = p->decoder.decode(p->decoder.self, value, &p->arena, &session, err);
    if (status == MTF_OK) session_json_put(&session, &p->line);
    mtf_arena_reset(&p->arena);
    return status == MTF_OK && p->line.failed
               ? mtf_fail(err, MTF_NOMEM, "out of memory printing a session")
               : status;
}

static mtf_status printer_begin(void *self, mtf_err *err)
{
    (void)err;
    mtf_buf_clear(&((printer *)self)->line);
    return MTF_OK;
}

static mtf_status printer_commit(void *self, const mtf_position *positions, size_t count,
                                 mtf_err *err)
{
    (void)positions, (void)count;
    printer *p = self;
    if (p->out && p->line.size > 0 &&
        (fwrite(p->line.data, 1, p->line.size, p->out) != p->line.size || fflush(p->out) != 0)) {
        return mtf_fail(err, MTF_IO, "write %s: %s", p->path, strerror(errno));
    }
    mtf_buf_clear(&p->line);
    return MTF_OK;
}

/** "replay: 9 events, 1 session records, 2 set aside: late=1 dead_invalid=1". */
static void print_summary(const printer *p, const mtf_sessionize_counters *counts)
{
    fprintf(stderr, "replay: %lld events, %lld session records, %lld set aside%s",
            (long long)mtf_sessionize_get(counts, MTF_SESSIONIZE_IN), (long long)p->session_records,
            (long long)p->set_aside, p->set_aside ? ":" : "");
    for (mtf_sessionize_counter i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        const int64_t value = mtf_sessionize_get(counts, i);
        if (value && mtf_outcome_is_aside(mtf_sessionize_outcome_of(i)))
            fprintf(stderr, " %s=%lld", mtf_sessionize_counter_name(i), (long long)value);
    }
    fputc('\n', stderr);
}

static mtf_status replay(mtf_cli *cli, const char *out_path, mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    const stage_context context = {s, &cli->log, cli->stop, cli->fail_fast};
    mtf_decoder *decoder = NULL;
    mtf_source source = {0};
    mtf_sessionize *loop = NULL;
    printer p = {.path = out_path, .sessions_topic = s->topics_sessions};
    mtf_status status = stage_decoder_open(s, STAGE_FILE_EVENTS, &decoder, err);
    if (status == MTF_OK) {
        p.decoder = mtf_decoder_sessions(decoder);
        p.out = !out_path ? NULL : strcmp(out_path, "-") == 0 ? stdout : fopen(out_path, "w");
        if (out_path && !p.out)
            status = mtf_fail(err, MTF_IO, "create %s: %s", out_path, strerror(errno));
    }
    if (status == MTF_OK) {
        status = mtf_container_source((const char *const *)cli->words, (size_t)cli->word_count,
                                      s->topics_exploration, decoder, &source, err);
    }
    mtf_sink sink = {.self = &p,
                     .begin = printer_begin,
                     .put = printer_put,
                     .commit = printer_commit,
                     .abort = printer_begin,
                     .value_bytes_max = SIZE_MAX};
    const mtf_event_decoder events = decoder ? mtf_decoder_events(decoder) : (mtf_event_decoder){0};
    if (status == MTF_OK) {
        mtf_sessionize_config config = stage_sessionize_config(&context, decoder);
        config.close_at_end = true;
        status =
            mtf_sessionize_open(&config, &source, &sink, &events, mtf_session_encode, &loop, err);
    }
    if (status == MTF_OK) status = mtf_sessionize_run(loop, context.stop, err);
    if (status == MTF_OK) status = sessionize_report(context.log, mtf_sessionize_count(loop), err);
    if (status == MTF_OK) print_summary(&p, mtf_sessionize_count(loop));
    if (status == MTF_OK && atomic_load(context.stop))
        status = mtf_fail(err, MTF_CLOSED, "replay: stopped before the end of the events");
    if (loop) mtf_sessionize_close(loop);
    if (source.close) source.close(source.self);
    mtf_decoder_close(decoder);
    if (p.out && p.out != stdout && fclose(p.out) != 0 && status == MTF_OK) {
        status = mtf_fail(err, MTF_IO, "close %s: %s", out_path, strerror(errno));
    }
    mtf_arena_fini(&p.arena);
    mtf_buf_fini(&p.line);
    return status;
}

int mtf_command_replay(mtf_cli *cli, int argc, char **argv)
{
    const char *out = NULL;
    const mtf_option options[] = {
        {"--out", MTF_OPTION_TEXT, &out, 0, 0, "FILE",
         "sessions as JSON lines, - for standard output"},
    };
    mtf_err err = {0};
    mtf_status status =
        mtf_cli_read(cli, argc, argv, "replay FILE.avro ... [--out FILE]", options, 1, NULL, &err);
    if (status != MTF_OK) return mtf_cli_exit(status, &err);
    if (cli->word_count == 0) {
        status = mtf_fail(&err, MTF_INVALID,
                          "replay: name the Avro files (written by `mtf simulate --out FILE`)");
    } else {
        status = replay(cli, out, &err);
    }
    return mtf_cli_exit_work(status, &err);
}
