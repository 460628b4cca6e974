#include "cli/late_replay.h"

#include "cli/late_sessions.h"
#include "cli/replay_run.h"
#include "core/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SLICE_BYTES (INT64_C(256) << 20) /* of events in memory at a time */

/** Records of the late topic by what became of them; of one pass. */
typedef struct late_counts {
    int64_t replayed, before, foreign, cut, other_topics, undecodable;
    int64_t no_request, double_signal, too_large, refused; /* stay unmatched */
    late_result made;
} late_counts;

typedef struct late_run {
    replay_run run;
    mtf_arena arena;
    late_sessions build;

    uint64_t slice, slices; /* users whose hash is `slice` modulo `slices` */
    int64_t bytes;          /* of all events that can be replayed */
    late_event *events;
    size_t count, capacity;
    const char **unmatched;      /* of each */
    late_counts counts, settled; /* settled: up to the last commit */
} late_run;

/** Whether the record can be replayed, its event in the arena; counts it in the first slice when
 *  it cannot. */
static bool replayable(late_run *late, const aside_record *record, mtf_event *event)
{
    const mtf_settings *s = &late->run.cli->settings;
    const mtf_message *message = &record->message;
    const mtf_event_decoder *decoder = &late->build.decoder;
    late_counts *counts = &late->counts;
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
        mtf_arena_reset(&late->arena);
        if (decoder->decode(decoder->self, message->value, &late->arena, event, NULL) == MTF_OK)
            return true;
        count = &counts->undecodable, why = "undecodable";
    }
    if (late->slice == 0) {
        ++*count;
        if (why) replay_run_name(&late->run, message->partition, message->offset, why);
    }
    return false;
}

static mtf_status measure(void *arg, const aside_record *record, mtf_err *err)
{
    late_run *late = arg;
    (void)err;
    if (!record->replayed)
        late->bytes += (int64_t)(record->message.value.size + record->message.key.size + 128);
    return MTF_OK;
}

static mtf_status collect(void *arg, const aside_record *record, mtf_err *err)
{
    late_run *late = arg;
    mtf_event event;
    if (!replayable(late, record, &event)) return MTF_OK;
    if (mtf_hash64(event.user_id.data, event.user_id.size) % late->slices != late->slice)
        return MTF_OK;
    if (late->count == late->capacity) {
        const size_t capacity = late->capacity ? 2 * late->capacity : 1024;
        late_event *events = realloc(late->events, capacity * sizeof *events);
        if (events) late->events = events;
        const char **unmatched = realloc(late->unmatched, capacity * sizeof *unmatched);
        if (unmatched) late->unmatched = unmatched;
        if (!events || !unmatched)
            return mtf_fail(err, MTF_NOMEM, "no memory for %zu late events", capacity);
        late->capacity = capacity;
    }
    const mtf_status status = late_event_init(&late->events[late->count], &record->message,
                                              record->origin.timestamp_ms, &event, err);
    if (status == MTF_OK) late->count++;
    return status;
}

static void forget_events(late_run *late)
{
    for (size_t i = 0; i < late->count; i++) late_event_fini(&late->events[i]);
    late->count = 0;
}

static mtf_status put_session(void *arg, mtf_span key, mtf_span value, mtf_err *err)
{
    late_run *late = arg;
    const mtf_header header = {mtf_str_of(REPLAYED_HEADER), {(const uint8_t *)"late", 4}};
    if (!late->run.options->execute) return MTF_OK;
    const mtf_status status = replay_run_begin(&late->run, err);
    if (status != MTF_OK) return status;
    return late->run.sink.put(late->run.sink.self, late->run.cli->settings.topics_sessions, key,
                              value, &header, 1, 0, err);
}

static mtf_status commit(late_run *late, mtf_err *err)
{
    const mtf_status status = replay_run_commit(&late->run, err);
    if (status == MTF_OK) late->settled = late->counts;
    return status;
}

/** One user's events, and then what became of each. */
static mtf_status replay_user(late_run *late, const late_event *events, size_t count, mtf_err *err)
{
    late_counts *counts = &late->counts;
    const bool execute = late->run.options->execute;
    const char **unmatched = late->unmatched;
    mtf_status status =
        late_sessions_build(&late->build, events, count, unmatched, &counts->made, err);
    for (size_t i = 0; status == MTF_OK && i < count; i++) {
        if (unmatched[i]) {
            ++*(strcmp(unmatched[i], "no_request") == 0      ? &counts->no_request
                : strcmp(unmatched[i], "double_signal") == 0 ? &counts->double_signal
                : strcmp(unmatched[i], "too_large") == 0     ? &counts->too_large
                                                             : &counts->refused);
            replay_run_name(&late->run, events[i].partition, events[i].offset, unmatched[i]);
            continue;
        }
        counts->replayed++;
        if (execute) status = replay_run_begin(&late->run, err);
        if (execute && status == MTF_OK)
            status = replay_run_done(&late->run, events[i].partition, events[i].offset, err);
    }
    return status == MTF_OK && replay_run_is_full(&late->run) ? commit(late, err) : status;
}

static mtf_status replay_slice(late_run *late, mtf_err *err)
{
    mtf_status status = aside_topic_each(&late->run.topic, collect, late, err);
    if (late->count) qsort(late->events, late->count, sizeof *late->events, late_event_compare);
    for (size_t begin = 0, end; status == MTF_OK && begin < late->count; begin = end) {
        const mtf_str user = late_event_user(&late->events[begin]);
        for (end = begin + 1; end < late->count; end++)
            if (!mtf_str_equal(late_event_user(&late->events[end]), user)) break;
        if (atomic_load(late->run.cli->stop))
            status = mtf_fail(err, MTF_CLOSED, "stopped");
        else
            status = replay_user(late, &late->events[begin], end - begin, err);
    }
    if (status == MTF_OK) status = commit(late, err);
    forget_events(late);
    return status;
}

/** All slices. What a pass before this one committed is settled. */
static mtf_status replay_pass(void *self, mtf_err *err)
{
    late_run *late = self;
    mtf_status status = MTF_OK;
    late->counts = (late_counts){
        .replayed = late->settled.replayed,
        .before = -late->settled.replayed,
        .made = late->settled.made,
    };
    for (late->slice = 0; status == MTF_OK && late->slice < late->slices; late->slice++)
        status = replay_slice(late, err);
    return status;
}

static void print_json(const late_run *late, mtf_buf *out)
{
    const late_counts *c = &late->counts;
    const bool executed = late->run.options->execute;
    mtf_buf_printf(out,
                   "{\"executed\":%s,\"%s\":%" PRId64 ",\"sessions\":%" PRId64
                   ",\"session_records\":%" PRId64 ",\"session_events\":%" PRId64
                   ",\"duplicates\":%" PRId64 ",\"over_cap\":%" PRId64 ",\"too_large\":%" PRId64
                   ",\"no_request\":%" PRId64 ",\"double_signal\":%" PRId64 ",\"refused\":%" PRId64
                   ",\"replayed_before\":%" PRId64 ",\"cut\":%" PRId64 ",\"undecodable\":%" PRId64
                   ",\"other_topics\":%" PRId64 ",\"foreign\":%" PRId64 ",\"not_replayed\":",
                   executed ? "true" : "false", executed ? "replayed" : "would_replay", c->replayed,
                   c->made.sessions, c->made.records, c->made.session_events, c->made.duplicates,
                   c->made.over_cap, c->too_large, c->no_request, c->double_signal, c->refused,
                   c->before, c->cut, c->undecodable, c->other_topics, c->foreign);
    replay_run_named_json(&late->run, out);
    mtf_buf_printf(out, "}\n");
}

static void print_text(const late_run *late, mtf_buf *out)
{
    const late_counts *c = &late->counts;
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
                   late->run.options->execute ? "put" : "would put", c->made.sessions,
                   c->made.session_events,
                   late->run.options->execute ? "" : " (a dry run; --execute does it)", c->replayed,
                   c->made.session_events, c->made.duplicates, c->made.over_cap);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        replay_run_named_text(&late->run, rest[i].why, rest[i].count, rest[i].words, out);
}

static void print(const void *self, mtf_buf *out)
{
    const late_run *late = self;
    (late->run.cli->json ? print_json : print_text)(late, out);
}

static mtf_status prepare(late_run *late, mtf_err *err)
{
    const replay_run *run = &late->run;
    const mtf_status status = aside_topic_each(&late->run.topic, measure, late, err);
    late->slices = 1 + (uint64_t)(late->bytes / SLICE_BYTES);
    late->build = (late_sessions){
        .config = stage_sessionize_config(&run->context, run->decoder),
        .decoder = mtf_decoder_events(run->decoder),
        .value_bytes_max = run->options->execute ? run->sink.value_bytes_max : SIZE_MAX,
        .put = put_session,
        .arg = late,
    };
    return status;
}

mtf_status late_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                       mtf_err *err)
{
    late_run late = {0};
    mtf_status status = replay_run_open(&late.run, cli, o, filter, "mtf-late-replay",
                                        cli->settings.topics_late, err);
    if (status == MTF_OK) status = prepare(&late, err);
    if (status == MTF_OK) status = replay_run_passes(&late.run, replay_pass, print, &late, err);
    mtf_arena_fini(&late.arena);
    free(late.events);
    free(late.unmatched);
    replay_run_close(&late.run);
    return status;
}
