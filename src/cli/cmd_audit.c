/** `mtf audit`: shows from the topics alone that every record of the exploration topic came out
 *  once: in a session, late, as a dead letter, or dropped for a reason.
 *
 *  What a window of the log asks for is recomputed with the very same stage (audit_log.h) and
 *  compared with what is there (audit_book.h). The window ends where the group has committed at
 *  the start, and the ends of the output topics are noted after that: what a commit covers was put
 *  out before it. Memory: ids and hashes of what is read, and one partition's open sessions. */
#include "cli/aside_list.h"
#include "cli/audit_report.h"
#include "cli/cli.h"
#include "cli/replay_run.h"
#include "cli/times.h"
#include "ingest/kafka_sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOCKS_MS INT64_C(60000) /* brokers' clocks among themselves */

typedef struct audit_options {
    const char *from, *to;
    int64_t limit;
} audit_options;

typedef struct audit {
    const mtf_cli *cli;
    stage_context context;
    int64_t from_ms, to_ms;
    int64_t read_ms; /* nothing older is read, of any topic */
    audit_log log;
    aside_topic topics[3]; /* by audit_kind */
    audit_report report;
} audit;

/** Offsets and times of every partition. */
typedef struct places {
    int64_t *firsts, *ends, *committed, *from, *to, *read;
    int64_t *times_ms; /* asked for */
    int64_t block[];
} places;

static mtf_status places_new(places **p, int32_t count, mtf_err *err)
{
    const size_t n = (size_t)count;
    places *made = calloc(1, sizeof *made + 7 * n * sizeof *made->block);
    *p = made;
    if (!made) return mtf_fail(err, MTF_NOMEM, "no memory for %zu partitions", n);
    int64_t **arrays[] = {&made->firsts, &made->ends, &made->committed, &made->from,
                          &made->to,     &made->read, &made->times_ms};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) *arrays[i] = made->block + i * n;
    return MTF_OK;
}

static mtf_status offsets_at(const audit *a, mtf_kafka_client *client, places *p, int64_t time_ms,
                             int64_t *offsets, mtf_err *err)
{
    const int32_t count = a->report.partition_count;
    for (int32_t i = 0; i < count; i++) p->times_ms[i] = time_ms;
    return mtf_kafka_client_offsets_at(client, a->cli->settings.topics_exploration, count,
                                       p->times_ms, offsets, err);
}

/** The window of a partition, but for where reading begins. */
static void place_window(audit *a, const places *p, int32_t i)
{
    audit_window *w = &a->report.windows[i];
    const int64_t committed = p->committed[i];
    *w = (audit_window){.partition = i,
                        .first = p->firsts[i],
                        .from = a->from_ms > 0 ? p->from[i] : p->firsts[i],
                        .to = a->to_ms < INT64_MAX ? p->to[i] : p->ends[i]};
    if (w->to < w->from) w->to = w->from;
    if (committed < 0 && w->to > w->from)
        mtf_buf_printf(&a->report.notes,
                       "note: group %s has no commit of partition %" PRId32
                       ": all of it is taken as read\n",
                       a->cli->settings.sessionize_group, i);
    if (committed >= 0 && committed < w->to) {
        w->unread = w->to - (committed > w->from ? committed : w->from);
        w->to -= w->unread;
    }
    w->more = w->to < p->ends[i];
}

/** Reading begins before any event of what was open at the window: an activity is open for as long
 *  as the watermark is not past its end, gap and grace, it is no longer than max_duration, and an
 *  event is no older in the log than max_future before its time. */
static mtf_status place_reading(audit *a, mtf_kafka_client *client, places *p, mtf_err *err)
{
    const mtf_settings *s = &a->cli->settings;
    const int32_t count = a->report.partition_count;
    audit_window *windows = a->report.windows;
    a->read_ms = a->from_ms;
    if (a->from_ms == 0) {
        for (int32_t i = 0; i < count; i++) windows[i].read = windows[i].from;
        return MTF_OK;
    }
    mtf_status status = audit_log_watermarks(&a->log, windows, count, p->times_ms, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++) {
        p->times_ms[i] = (p->times_ms[i] < a->from_ms ? p->times_ms[i] : a->from_ms) -
                         s->sessionize_max_duration_ms - s->sessionize_gap_ms -
                         s->sessionize_grace_ms - s->sessionize_max_future_ms - CLOCKS_MS;
        if (p->times_ms[i] < 0) p->times_ms[i] = 0;
        if (p->times_ms[i] < a->read_ms) a->read_ms = p->times_ms[i];
    }
    if (status == MTF_OK)
        status = mtf_kafka_client_offsets_at(client, s->topics_exploration, count, p->times_ms,
                                             p->read, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++) {
        windows[i].read = p->read[i] < windows[i].from ? p->read[i] : windows[i].from;
        windows[i].clipped = windows[i].read == windows[i].first;
    }
    return status;
}

static mtf_status find_windows(audit *a, mtf_kafka_client *client, mtf_err *err)
{
    const char *topic = a->cli->settings.topics_exploration;
    int32_t count = 0;
    places *p = NULL;
    mtf_status status = mtf_kafka_client_partitions(client, topic, &count, err);
    if (status == MTF_OK) status = places_new(&p, count, err);
    if (status != MTF_OK) return status;
    a->report.partition_count = count;
    a->report.windows = calloc((size_t)count, sizeof *a->report.windows);
    a->report.sheets = calloc((size_t)count, sizeof *a->report.sheets);
    if (!a->report.windows || !a->report.sheets)
        status = mtf_fail(err, MTF_NOMEM, "no memory for %" PRId32 " partitions", count);
    if (status == MTF_OK)
        status = mtf_kafka_client_committed(client, topic, count, p->committed, err);
    if (status == MTF_OK)
        status = mtf_kafka_client_ranges(client, topic, count, p->firsts, p->ends, err);
    if (status == MTF_OK) status = offsets_at(a, client, p, a->from_ms, p->from, err);
    if (status == MTF_OK && a->to_ms < INT64_MAX)
        status = offsets_at(a, client, p, a->to_ms, p->to, err);
    for (int32_t i = 0; status == MTF_OK && i < count; i++) place_window(a, p, i);
    if (status == MTF_OK) status = place_reading(a, client, p, err);
    free(p);
    return status;
}

static mtf_status take_session(void *arg, const aside_record *record, mtf_err *err)
{
    audit *a = arg;
    const mtf_message *message = &record->message;
    const mtf_session_decoder decoder = mtf_decoder_sessions(a->log.decoder);
    mtf_arena arena = {0};
    mtf_session session;
    for (size_t i = 0; i < record->header_count; i++) {
        if (!mtf_str_is(record->headers[i].name, REPLAYED_HEADER)) continue;
        a->report.found.replays++;
        return MTF_OK;
    }
    mtf_status status = decoder.decode(decoder.self, message->value, &arena, &session, err);
    if (status == MTF_OK) {
        status = audit_find_session(a->log.book, &session, message->value, message->partition,
                                    message->offset, err);
    } else if (status == MTF_SKIP) {
        mtf_buf_printf(&a->report.notes, "note: %s/%" PRId32 "@%" PRId64 " is no session: %.200s\n",
                       a->cli->settings.topics_sessions, message->partition, message->offset,
                       err->msg);
        a->report.found.unreadable++;
        status = MTF_OK;
    }
    mtf_arena_fini(&arena);
    return status;
}

static mtf_status take_aside(audit *a, audit_kind kind, const aside_record *record, mtf_err *err)
{
    const mtf_origin *origin = &record->origin;
    const mtf_event_decoder decoder = mtf_decoder_events(a->log.decoder);
    mtf_arena arena = {0};
    mtf_event event;
    if (record->foreign) {
        a->report.found.foreign++;
        return MTF_OK;
    }
    if (!mtf_str_is(origin->topic, a->cli->settings.topics_exploration) ||
        origin->partition >= a->report.partition_count) {
        a->report.found.other_topics++;
        return MTF_OK;
    }
    const audit_window *w = &a->report.windows[origin->partition];
    const bool whole = kind == AUDIT_LATE && decoder.decode(decoder.self, record->message.value,
                                                            &arena, &event, NULL) == MTF_OK;
    const mtf_status status =
        audit_find_aside(a->log.book, kind, origin->partition, origin->offset,
                         origin->offset >= w->from && origin->offset < w->to,
                         mtf_str_is(origin->stage, "decode"), whole ? &event : NULL, err);
    mtf_arena_fini(&arena);
    return status;
}

static mtf_status take_late(void *arg, const aside_record *record, mtf_err *err)
{
    return take_aside(arg, AUDIT_LATE, record, err);
}

static mtf_status take_dead(void *arg, const aside_record *record, mtf_err *err)
{
    return take_aside(arg, AUDIT_DEAD, record, err);
}

/** Their ends, now. */
static mtf_status open_outputs(audit *a, mtf_err *err)
{
    const mtf_settings *s = &a->cli->settings;
    const char *const names[] = {
        [AUDIT_LATE] = s->topics_late,
        [AUDIT_DEAD] = s->topics_dead_letter,
        [AUDIT_SESSION] = s->topics_sessions,
    };
    const aside_filter filter = {a->read_ms, INT64_MAX, NULL};
    mtf_status status = MTF_OK;
    for (int i = 0; status == MTF_OK && i < 3; i++)
        status = aside_topic_open(&a->topics[i], &a->context, names[i], &filter, err);
    return status;
}

/** The largest record the live run's sink takes: it decides where sessions are split. */
static mtf_status ask_value_bytes(audit *a, mtf_err *err)
{
    mtf_sink sink = {0};
    const mtf_status status =
        mtf_kafka_sink_open(&a->cli->settings, &a->cli->log, NULL, &sink, err);
    if (status != MTF_OK) return status;
    a->log.value_bytes_max = sink.value_bytes_max;
    sink.close(sink.self);
    return MTF_OK;
}

static mtf_status gather(audit *a, mtf_err *err)
{
    const mtf_settings *s = &a->cli->settings;
    mtf_kafka_client *client = NULL;
    mtf_status status = mtf_kafka_client_open(s, &a->cli->log, s->sessionize_group, true,
                                              a->cli->stop, &client, err);
    if (status == MTF_OK) status = stage_decoder_open(s, STAGE_TOPIC_EVENTS, &a->log.decoder, err);
    if (status == MTF_OK) status = find_windows(a, client, err); /* commits first ... */
    mtf_kafka_client_close(client);
    if (status == MTF_OK) status = open_outputs(a, err); /* ... then what they cover */
    if (status == MTF_OK) status = ask_value_bytes(a, err);
    if (status == MTF_OK) status = aside_topic_each(&a->topics[AUDIT_LATE], take_late, a, err);
    if (status == MTF_OK) status = aside_topic_each(&a->topics[AUDIT_DEAD], take_dead, a, err);
    if (status == MTF_OK)
        status = aside_topic_each(&a->topics[AUDIT_SESSION], take_session, a, err);
    for (int32_t i = 0; status == MTF_OK && i < a->report.partition_count; i++)
        status = audit_log_read(&a->log, &a->report.windows[i], &a->report.sheets[i], err);
    return status;
}

static mtf_status judge(audit *a, size_t limit, mtf_err *err)
{
    const audit_rules rules = {
        .idle_jumps = a->cli->settings.sessionize_idle_timeout_ms > 0,
        .judged_from_ms = a->log.judged_from_ms,
        .judged_to_ms = a->log.judged_to_ms,
    };
    return audit_judge(a->log.book, &rules, limit, &a->report.verdict, err);
}

static mtf_status read_times(audit *a, const audit_options *o, mtf_err *err)
{
    a->to_ms = INT64_MAX;
    mtf_status status = MTF_OK;
    if (o->from) status = times_parse("--from", o->from, &a->from_ms, err);
    if (status == MTF_OK && o->to) status = times_parse("--to", o->to, &a->to_ms, err);
    if (status == MTF_OK && a->from_ms >= a->to_ms)
        status = mtf_fail(err, MTF_INVALID, "--from %s is not before --to %s", o->from, o->to);
    return status;
}

static void release(audit *a)
{
    for (int i = 0; i < 3; i++) aside_topic_close(&a->topics[i]);
    audit_verdict_fini(&a->report.verdict);
    audit_book_free(a->log.book);
    mtf_decoder_close(a->log.decoder);
    mtf_buf_fini(&a->report.notes);
    free(a->report.windows);
    free(a->report.sheets);
}

int mtf_command_audit(mtf_cli *cli, int argc, char **argv)
{
    audit_options o = {.limit = 20};
    const mtf_option options[] = {
        {"--from", MTF_OPTION_TEXT, &o.from, 0, 0, "TIME",
         "records appended at or after: 2026-03-01T12:00Z or ms; default: all"},
        {"--to", MTF_OPTION_TEXT, &o.to, 0, 0, "TIME", "and before; default: now"},
        {"--limit", MTF_OPTION_INT, &o.limit, 0, 1e6, "N", "differences to list; default 20"},
    };
    audit a = {.cli = cli, .context = {&cli->settings, &cli->log, cli->stop, true}};
    mtf_err err = {0};
    mtf_buf out = {0};
    mtf_status status = mtf_cli_read(cli, argc, argv, "audit [--from TIME] [--to TIME]", options,
                                     sizeof options / sizeof *options, NULL, &err);
    if (status == MTF_CLOSED) return MTF_EXIT_OK;
    if (status == MTF_OK) status = mtf_cli_no_words(cli, &err);
    if (status == MTF_OK) status = read_times(&a, &o, &err);
    a.log = (audit_log){.context = &a.context,
                        .book = audit_book_new(),
                        .judged_from_ms = INT64_MIN,
                        .judged_to_ms = INT64_MAX};
    if (status == MTF_OK && !a.log.book)
        status = mtf_fail(&err, MTF_NOMEM, "no memory for an audit");
    if (status == MTF_OK) status = gather(&a, &err);
    if (status == MTF_OK) status = judge(&a, (size_t)o.limit, &err);
    if (status == MTF_OK) {
        (cli->json ? audit_report_json : audit_report_text)(&a.report, &cli->settings, &out);
        fwrite(out.data, 1, out.size, stdout);
    }
    const bool whole = status == MTF_OK && audit_report_differences(&a.report) == 0;
    mtf_buf_fini(&out);
    release(&a);
    return status == MTF_OK && !whole ? MTF_EXIT_FAILED : mtf_cli_exit_work(status, &err);
}
