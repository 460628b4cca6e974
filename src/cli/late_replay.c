#include "cli/late_replay.h"

#include "cli/late_sessions.h"
#include "cli/replay_sink.h"
#include "core/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TRIES       3                    /* passes, when the brokers refuse a transaction */
#define SLICE_BYTES (INT64_C(256) << 20) /* of events in memory at a time */

/** Records of the late topic by what became of them; of one pass. */
typedef struct late_counts {
    int64_t replayed, before, foreign, cut, other_topics, undecodable;
    int64_t no_request, double_signal, too_large, refused; /* stay unmatched */
    late_result made;
} late_counts;

typedef struct late_run {
    const mtf_cli *cli;
    const aside_options *options;
    aside_topic topic;
    mtf_decoder *decoder;
    mtf_arena arena;
    replay_sink sink;
    late_sessions build;

    uint64_t slice, slices; /* users whose hash is `slice` modulo `slices` */
    int64_t bytes;          /* of all events that can be replayed */
    late_event *events;
    size_t count, capacity;
    const char **unmatched;      /* of each */
    late_counts counts, settled; /* settled: up to the last commit */
    struct {
        int32_t partition;
        int64_t offset;
        const char *why;
    } named[20];
    size_t named_count;
} late_run;

static void name_one(late_run *run, int32_t partition, int64_t offset, const char *why)
{
    if (run->named_count == sizeof run->named / sizeof *run->named) return;
    run->named[run->named_count].partition = partition;
    run->named[run->named_count].offset = offset;
    run->named[run->named_count++].why = why;
}

/** Whether the record can be replayed, its event in the arena; counts it in the first slice when
 *  it cannot. */
static bool replayable(late_run *run, const aside_record *record, mtf_event *event)
{
    const mtf_settings *s = &run->cli->settings;
    const mtf_message *message = &record->message;
    const mtf_event_decoder *decoder = &run->build.decoder;
    late_counts *counts = &run->counts;
    int64_t *count = NULL;
    const char *why = NULL;
    if (record->replayed) {
        count = &counts->before;
    } else if (record->foreign) {
        count = &counts->foreign, why = "foreign";
    } else if (record->origin.original_bytes >= 0) {
        count = &counts->cut, why = "cut";
    } else if (!mtf_str_is(record->origin.topic, s->topics_exploration)) {
        count = &counts->other_topics, why = "other_topic";
    } else {
        mtf_arena_reset(&run->arena);
        if (decoder->decode(decoder->self, message->value, &run->arena, event, NULL) == MTF_OK)
            return true;
        count = &counts->undecodable, why = "undecodable";
    }
    if (run->slice == 0) {
        ++*count;
        if (why) name_one(run, message->partition, message->offset, why);
    }
    return false;
}

static mtf_status measure(void *arg, const aside_record *record, mtf_err *err)
{
    late_run *run = arg;
    (void)err;
    if (!record->replayed)
        run->bytes += (int64_t)(record->message.value.size + record->message.key.size + 128);
    return MTF_OK;
}

static mtf_status collect(void *arg, const aside_record *record, mtf_err *err)
{
    late_run *run = arg;
    mtf_event event;
    if (!replayable(run, record, &event)) return MTF_OK;
    if (mtf_hash64(event.user_id.data, event.user_id.size) % run->slices != run->slice)
        return MTF_OK;
    if (run->count == run->capacity) {
        const size_t capacity = run->capacity ? 2 * run->capacity : 1024;
        late_event *events = realloc(run->events, capacity * sizeof *events);
        if (events) run->events = events;
        const char **unmatched = realloc(run->unmatched, capacity * sizeof *unmatched);
        if (unmatched) run->unmatched = unmatched;
        if (!events || !unmatched)
            return mtf_fail(err, MTF_NOMEM, "no memory for %zu late events", capacity);
        run->capacity = capacity;
    }
    const mtf_status status = late_event_init(&run->events[run->count], &record->message,
                                              record->origin.timestamp_ms, &event, err);
    if (status == MTF_OK) run->count++;
    return status;
}

static void forget_events(late_run *run)
{
    for (size_t i = 0; i < run->count; i++) late_event_fini(&run->events[i]);
    run->count = 0;
}

static mtf_status put_session(void *arg, mtf_span key, mtf_span value, mtf_err *err)
{
    late_run *run = arg;
    const mtf_header header = {mtf_str_of(REPLAYED_HEADER), {(const uint8_t *)"late", 4}};
    if (!run->options->execute) return MTF_OK;
    const mtf_status status = replay_sink_begin(&run->sink, err);
    if (status != MTF_OK) return status;
    return run->sink.sink.put(run->sink.sink.self, run->cli->settings.topics_sessions, key, value,
                              &header, 1, 0, err);
}

static mtf_status commit(late_run *run, mtf_err *err)
{
    const mtf_status status = replay_sink_commit(&run->sink, &run->topic, err);
    if (status == MTF_OK) run->settled = run->counts;
    return status;
}

/** One user's events, and then what became of each. */
static mtf_status replay_user(late_run *run, const late_event *events, size_t count, mtf_err *err)
{
    late_counts *counts = &run->counts;
    const bool execute = run->options->execute;
    const char **unmatched = run->unmatched;
    mtf_status status =
        late_sessions_build(&run->build, events, count, unmatched, &counts->made, err);
    for (size_t i = 0; status == MTF_OK && i < count; i++) {
        if (unmatched[i]) {
            ++*(strcmp(unmatched[i], "no_request") == 0      ? &counts->no_request
                : strcmp(unmatched[i], "double_signal") == 0 ? &counts->double_signal
                : strcmp(unmatched[i], "too_large") == 0     ? &counts->too_large
                                                             : &counts->refused);
            name_one(run, events[i].partition, events[i].offset, unmatched[i]);
            continue;
        }
        counts->replayed++;
        if (execute) status = replay_sink_begin(&run->sink, err);
        if (execute && status == MTF_OK)
            status = replay_sink_done(&run->sink, events[i].partition, events[i].offset, err);
    }
    return status == MTF_OK && replay_sink_is_full(&run->sink) ? commit(run, err) : status;
}

static mtf_status replay_slice(late_run *run, mtf_err *err)
{
    mtf_status status = aside_topic_each(&run->topic, collect, run, err);
    if (run->count) qsort(run->events, run->count, sizeof *run->events, late_event_compare);
    for (size_t begin = 0, end; status == MTF_OK && begin < run->count; begin = end) {
        const mtf_str user = late_event_user(&run->events[begin]);
        for (end = begin + 1; end < run->count; end++)
            if (!mtf_str_equal(late_event_user(&run->events[end]), user)) break;
        if (atomic_load(run->cli->stop))
            status = mtf_fail(err, MTF_CLOSED, "stopped");
        else
            status = replay_user(run, &run->events[begin], end - begin, err);
    }
    if (status == MTF_OK) status = commit(run, err);
    forget_events(run);
    return status;
}

/** All slices. What a pass before this one committed is settled. */
static mtf_status replay_pass(late_run *run, mtf_err *err)
{
    mtf_status status = MTF_OK;
    run->counts = (late_counts){
        .replayed = run->settled.replayed,
        .before = -run->settled.replayed,
        .made = run->settled.made,
    };
    run->named_count = 0;
    for (run->slice = 0; status == MTF_OK && run->slice < run->slices; run->slice++)
        status = replay_slice(run, err);
    if (status != MTF_OK) replay_sink_abort(&run->sink);
    return status;
}

static void print_json(const late_run *run, mtf_buf *out)
{
    const late_counts *c = &run->counts;
    const bool executed = run->options->execute;
    mtf_buf_printf(out,
                   "{\"executed\":%s,\"%s\":%" PRId64 ",\"sessions\":%" PRId64
                   ",\"session_records\":%" PRId64 ",\"session_events\":%" PRId64
                   ",\"duplicates\":%" PRId64 ",\"over_cap\":%" PRId64 ",\"too_large\":%" PRId64
                   ",\"no_request\":%" PRId64 ",\"double_signal\":%" PRId64 ",\"refused\":%" PRId64
                   ",\"replayed_before\":%" PRId64 ",\"cut\":%" PRId64 ",\"undecodable\":%" PRId64
                   ",\"other_topics\":%" PRId64 ",\"foreign\":%" PRId64 ",\"not_replayed\":[",
                   executed ? "true" : "false", executed ? "replayed" : "would_replay", c->replayed,
                   c->made.sessions, c->made.records, c->made.session_events, c->made.duplicates,
                   c->made.over_cap, c->too_large, c->no_request, c->double_signal, c->refused,
                   c->before, c->cut, c->undecodable, c->other_topics, c->foreign);
    for (size_t i = 0; i < run->named_count; i++)
        mtf_buf_printf(out, "%s{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"why\":\"%s\"}",
                       i ? "," : "", run->named[i].partition, run->named[i].offset,
                       run->named[i].why);
    mtf_buf_printf(out, "]}\n");
}

static void print_text(const late_run *run, mtf_buf *out)
{
    const late_counts *c = &run->counts;
    const struct {
        const char *why, *words;
        int64_t count;
    } rest[] = {
        {"no_request", "feedback and ends whose request is not among them: unmatched for good",
         c->no_request},
        {"double_signal", "feedback with a signal its item brought joined", c->double_signal},
        {"too_large", "of sessions that no record can hold", c->too_large},
        {"refused", "refused by the machine", c->refused},
        {"", "replayed before", c->before},
        {"cut", "too large to be kept whole", c->cut},
        {"undecodable", "do not decode: is a schema missing?", c->undecodable},
        {"other_topic", "of another topic", c->other_topics},
        {"foreign", "without our headers", c->foreign},
    };
    mtf_buf_printf(out,
                   "late replay: %s %" PRId64 " sessions of %" PRId64 " events%s\n"
                   "    %" PRId64 " records of the late topic are done with: %" PRId64
                   " in sessions, %" PRId64 " duplicates, %" PRId64 " over max_events\n",
                   run->options->execute ? "put" : "would put", c->made.sessions,
                   c->made.session_events,
                   run->options->execute ? "" : " (a dry run; --execute does it)", c->replayed,
                   c->made.session_events, c->made.duplicates, c->made.over_cap);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        if (!rest[i].count) continue;
        mtf_buf_printf(out, "not replayed: %" PRId64 " %s\n", rest[i].count, rest[i].words);
        for (size_t k = 0; k < run->named_count; k++)
            if (strcmp(run->named[k].why, rest[i].why) == 0)
                mtf_buf_printf(out, "    %s/%" PRId32 "@%" PRId64 "\n", run->topic.name,
                               run->named[k].partition, run->named[k].offset);
    }
}

static mtf_status open_run(late_run *run, const stage_context *context, const aside_filter *filter,
                           mtf_err *err)
{
    const mtf_settings *s = context->settings;
    mtf_status status = stage_decoder_open(s, STAGE_TOPIC_EVENTS, &run->decoder, err);
    if (status != MTF_OK) return status;
    /* The sink first: it ends what an earlier run left open, which would hide marks from us. */
    if (run->options->execute)
        status = replay_sink_open(&run->sink, context, "mtf-late-replay", s->topics_late, err);
    if (status == MTF_OK)
        status = aside_topic_open(&run->topic, context, s->topics_late, filter, err);
    if (status == MTF_OK) status = aside_topic_read_marks(&run->topic, err);
    if (status == MTF_OK) status = aside_topic_each(&run->topic, measure, run, err);
    run->slices = 1 + (uint64_t)(run->bytes / SLICE_BYTES);
    run->build = (late_sessions){
        .config = stage_sessionize_config(context, run->decoder),
        .decoder = mtf_decoder_events(run->decoder),
        .value_bytes_max = run->options->execute ? run->sink.sink.value_bytes_max : SIZE_MAX,
        .put = put_session,
        .arg = run,
    };
    return status;
}

mtf_status late_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                       mtf_err *err)
{
    const stage_context context = {&cli->settings, &cli->log, cli->stop, true};
    late_run run = {.cli = cli, .options = o};
    mtf_buf out = {0};
    int tries = 0;
    mtf_status status = open_run(&run, &context, filter, err);
    while (status == MTF_OK) {
        status = replay_pass(&run, err);
        if (status != MTF_AGAIN || ++tries == TRIES) break;
        mtf_log_line(&cli->log, MTF_LOG_WARN, "late.replay", "retry=true reason=\"%s\"", err->msg);
        status = MTF_OK;
    }
    if (status == MTF_OK) {
        (cli->json ? print_json : print_text)(&run, &out);
        fwrite(out.data, 1, out.size, stdout);
    } else if (run.sink.committed) {
        fprintf(stderr, "mtf: %" PRId64 " late records are done and marked; run it again\n",
                run.sink.committed);
    }
    mtf_buf_fini(&out);
    mtf_arena_fini(&run.arena);
    free(run.events);
    free(run.unmatched);
    replay_sink_close(&run.sink);
    aside_topic_close(&run.topic);
    mtf_decoder_close(run.decoder);
    return status;
}
