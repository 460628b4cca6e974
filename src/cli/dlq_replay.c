#include "cli/dlq_replay.h"

#include "cli/json_text.h"
#include "cli/replay_sink.h"
#include "core/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define TRIES 3 /* passes, when the brokers refuse a transaction */

/** What becomes of a dead letter. */
#define FATE_MAP(X)                                                                                \
    X(REPLAY, "replayed", "")                                                                      \
    X(BEFORE, "replayed_before", "replayed before")                                                \
    X(CUT, "cut", "too large to be kept whole: only its producer has it")                          \
    X(TOO_LARGE, "too_large",                                                                      \
      "of sessions with a step that no record can hold: their requests' bytes are not kept here, " \
      "only on the topic and at the place that each letter names")                                 \
    X(OVERSIZE, "oversize",                                                                        \
      "larger than kafka.producer.message.max.bytes allows now: raise it, and the topic's "        \
      "max.message.bytes")                                                                         \
    X(STILL_BAD, "still_bad", "would be refused again: mend the schema or the settings first")     \
    X(STILL_FUTURE, "still_future", "still ahead of the clock: replay it when its time has come")  \
    X(LEARNER, "of_sessions",                                                                      \
      "sessions the learner could not read: with what ailed it mended, --any-topic puts them "     \
      "back "                                                                                      \
      "on the sessions topic, and the learner skips what it has")                                  \
    X(OTHER_TOPIC, "other_topics", "of another topic: --any-topic puts them back there")           \
    X(FOREIGN, "foreign", "without our headers: nobody knows where they belong")

typedef enum letter_fate {
#define X(name, json, words) FATE_##name,
    FATE_MAP(X)
#undef X
        FATES,
} letter_fate;

static const char *const fate_json[] = {
#define X(name, json, words) json,
    FATE_MAP(X)
#undef X
};
static const char *const fate_words[] = {
#define X(name, json, words) words,
    FATE_MAP(X)
#undef X
};

/** One that is not replayed, by its place in the dead-letter topic. */
typedef struct unreplayed {
    letter_fate fate;
    int32_t partition;
    int64_t offset;
} unreplayed;

typedef struct dlq_run {
    const mtf_cli *cli;
    const aside_options *options;
    aside_topic topic;
    mtf_decoder *decoder;
    mtf_arena arena;
    replay_sink sink;
    int64_t counts[FATES]; /* of this pass */
    aside_reasons reasons; /* of what is replayed ... */
    aside_reasons settled; /* ... up to the last commit */
    unreplayed named[20];
    size_t named_count;
} dlq_run;

/** Whether the stage that refused it would take it now. */
static letter_fate try_again(dlq_run *run, const aside_record *record)
{
    const mtf_settings *s = &run->cli->settings;
    const mtf_origin *origin = &record->origin;
    mtf_status status;
    mtf_event event = {0};
    mtf_arena_reset(&run->arena);
    if (mtf_str_is(origin->topic, s->topics_exploration)) {
        const mtf_event_decoder decoder = mtf_decoder_events(run->decoder);
        status = decoder.decode(decoder.self, record->message.value, &run->arena, &event, NULL);
        if (status == MTF_OK &&
            event.event_time_ms > mtf_clock_wall_ms() + s->sessionize_max_future_ms)
            return FATE_STILL_FUTURE;
        if (status == MTF_OK && event.user_id.size > MTF_KEY_BYTES_MAX) return FATE_STILL_BAD;
        /* It decoded before, too; its time is no clock's. */
        if (mtf_str_is(origin->stage, "sessionize") && mtf_str_is(origin->reason, "invalid"))
            return FATE_STILL_BAD;
    } else if (mtf_str_is(origin->topic, s->topics_sessions)) {
        mtf_session session;
        const mtf_session_decoder decoder = mtf_decoder_sessions(run->decoder);
        status = decoder.decode(decoder.self, record->message.value, &run->arena, &session, NULL);
    } else {
        return FATE_REPLAY;
    }
    return status == MTF_OK ? FATE_REPLAY : FATE_STILL_BAD;
}

static letter_fate fate_of(dlq_run *run, const aside_record *record)
{
    const mtf_settings *s = &run->cli->settings;
    if (record->replayed) return FATE_BEFORE;
    if (record->foreign) return FATE_FOREIGN;
    if (mtf_str_is(record->origin.reason, "too_large")) return FATE_TOO_LARGE;
    if (record->origin.original_bytes >= 0) return FATE_CUT;
    if (run->options->execute && record->message.value.size > run->sink.sink.value_bytes_max)
        return FATE_OVERSIZE;
    if (!mtf_str_is(record->origin.topic, s->topics_exploration) && !run->options->any_topic)
        return mtf_str_is(record->origin.topic, s->topics_sessions) ? FATE_LEARNER
                                                                    : FATE_OTHER_TOPIC;
    return try_again(run, record);
}

static mtf_status commit(dlq_run *run, mtf_err *err)
{
    const mtf_status status = replay_sink_commit(&run->sink, &run->topic, err);
    if (status == MTF_OK) run->settled = run->reasons;
    return status;
}

/** Its headers but ours, and where it was before. */
static mtf_status put_back(dlq_run *run, const aside_record *record, mtf_err *err)
{
    const mtf_origin *origin = &record->origin;
    const mtf_message *message = &record->message;
    const size_t prefix = strlen(MTF_ERRORS_PREFIX);
    mtf_header headers[ASIDE_HEADERS_MAX + 1];
    size_t count = 0;
    char place[40], topic[250];
    snprintf(place, sizeof place, "%" PRId32 "/%" PRId64, origin->partition, origin->offset);
    snprintf(topic, sizeof topic, "%.*s", (int)origin->topic.size, origin->topic.data);
    for (size_t i = 0; i < record->header_count; i++) {
        const mtf_str *name = &record->headers[i].name;
        if ((name->size >= prefix && memcmp(name->data, MTF_ERRORS_PREFIX, prefix) == 0) ||
            mtf_str_is(*name, REPLAYED_HEADER))
            continue;
        headers[count++] = record->headers[i];
    }
    headers[count++] =
        (mtf_header){mtf_str_of(REPLAYED_HEADER), {(const uint8_t *)place, strlen(place)}};
    mtf_status status = replay_sink_begin(&run->sink, err);
    if (status == MTF_OK)
        status = run->sink.sink.put(run->sink.sink.self, topic, message->key, message->value,
                                    headers, count, 0, err);
    if (status == MTF_OK)
        status = replay_sink_done(&run->sink, message->partition, message->offset, err);
    return status == MTF_OK && replay_sink_is_full(&run->sink) ? commit(run, err) : status;
}

static mtf_status replay_record(void *arg, const aside_record *record, mtf_err *err)
{
    dlq_run *run = arg;
    const letter_fate fate = fate_of(run, record);
    run->counts[fate]++;
    if (fate == FATE_REPLAY) {
        aside_reasons_add(&run->reasons, record->origin.stage, record->origin.reason);
        return run->options->execute ? put_back(run, record, err) : MTF_OK;
    }
    if (fate != FATE_BEFORE && run->named_count < sizeof run->named / sizeof *run->named)
        run->named[run->named_count++] =
            (unreplayed){fate, record->message.partition, record->message.offset};
    return MTF_OK;
}

/** A pass over the topic, all of it committed. What a pass before this one committed stays out. */
static mtf_status replay_pass(dlq_run *run, mtf_err *err)
{
    const int64_t replayed = run->sink.committed;
    memset(run->counts, 0, sizeof run->counts);
    run->named_count = 0;
    run->reasons = run->settled;
    mtf_status status = aside_topic_each(&run->topic, replay_record, run, err);
    if (status == MTF_OK) status = commit(run, err);
    if (status != MTF_OK) replay_sink_abort(&run->sink);
    run->counts[FATE_BEFORE] -= replayed;
    run->counts[FATE_REPLAY] =
        run->options->execute ? run->sink.committed : run->counts[FATE_REPLAY];
    return status;
}

static void print_json(const dlq_run *run, mtf_buf *out)
{
    mtf_buf_printf(out, "{\"executed\":%s", run->options->execute ? "true" : "false");
    for (int i = 0; i < FATES; i++) {
        const char *name =
            i == FATE_REPLAY && !run->options->execute ? "would_replay" : fate_json[i];
        mtf_buf_printf(out, ",\"%s\":%" PRId64, name, run->counts[i]);
    }
    mtf_buf_printf(out, ",\"reasons\":");
    aside_reasons_json(&run->reasons, out);
    mtf_buf_printf(out, ",\"not_replayed\":[");
    for (size_t i = 0; i < run->named_count; i++) {
        const unreplayed *one = &run->named[i];
        mtf_buf_printf(out, "%s{\"partition\":%" PRId32 ",\"offset\":%" PRId64 ",\"why\":\"%s\"}",
                       i ? "," : "", one->partition, one->offset, fate_json[one->fate]);
    }
    mtf_buf_printf(out, "]}\n");
}

static void print_text(const dlq_run *run, mtf_buf *out)
{
    mtf_buf_printf(out, "dlq replay: %s %" PRId64 " records back%s\n",
                   run->options->execute ? "put" : "would put", run->counts[FATE_REPLAY],
                   run->options->execute ? "" : " (a dry run; --execute does it)");
    for (size_t i = 0; i < run->reasons.count; i++)
        mtf_buf_printf(out, "%12" PRId64 "  %-10s  %s\n", run->reasons.rows[i].count,
                       run->reasons.rows[i].stage, run->reasons.rows[i].reason);
    for (int i = FATE_BEFORE; i < FATES; i++) {
        if (!run->counts[i]) continue;
        mtf_buf_printf(out, "not replayed: %" PRId64 " %s\n", run->counts[i], fate_words[i]);
        for (size_t k = 0; k < run->named_count; k++)
            if ((int)run->named[k].fate == i)
                mtf_buf_printf(out, "    %s/%" PRId32 "@%" PRId64 "\n", run->topic.name,
                               run->named[k].partition, run->named[k].offset);
    }
}

mtf_status dlq_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                      mtf_err *err)
{
    const mtf_settings *s = &cli->settings;
    const stage_context context = {s, &cli->log, cli->stop, true};
    dlq_run run = {.cli = cli, .options = o};
    mtf_buf out = {0};
    int tries = 0;
    mtf_status status = stage_decoder_open(s, STAGE_TOPIC_EVENTS, &run.decoder, err);
    /* The sink first: it ends what an earlier run left open, which would hide marks from us. */
    if (status == MTF_OK && o->execute)
        status =
            replay_sink_open(&run.sink, &context, "mtf-dlq-replay", s->topics_dead_letter, err);
    if (status == MTF_OK)
        status = aside_topic_open(&run.topic, &context, s->topics_dead_letter, filter, err);
    if (status == MTF_OK) status = aside_topic_read_marks(&run.topic, err);
    while (status == MTF_OK) {
        status = replay_pass(&run, err);
        if (status != MTF_AGAIN || ++tries == TRIES) break;
        mtf_log_line(&cli->log, MTF_LOG_WARN, "dlq.replay", "retry=true reason=\"%s\"", err->msg);
        status = MTF_OK;
    }
    if (status == MTF_OK) {
        (cli->json ? print_json : print_text)(&run, &out);
        fwrite(out.data, 1, out.size, stdout);
    } else if (o->execute && run.sink.committed) {
        fprintf(stderr, "mtf: %" PRId64 " records were put back and are marked; run it again\n",
                run.sink.committed);
    }
    mtf_buf_fini(&out);
    mtf_arena_fini(&run.arena);
    replay_sink_close(&run.sink);
    aside_topic_close(&run.topic);
    mtf_decoder_close(run.decoder);
    return status;
}
