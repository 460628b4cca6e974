#include "cli/dlq_replay.h"

#include "cli/json_text.h"
#include "cli/replay_run.h"
#include "core/clock.h"

#include <inttypes.h>
#include <stdio.h>

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

typedef struct dlq_run {
    replay_run run;
    mtf_arena arena;
    int64_t counts[FATES]; /* of this pass */
    aside_reasons reasons; /* of what is replayed ... */
    aside_reasons settled; /* ... up to the last commit */
} dlq_run;

/** Whether the stage that refused it would take it now. */
static letter_fate try_again(dlq_run *dlq, const aside_record *record)
{
    const mtf_settings *s = &dlq->run.cli->settings;
    const mtf_origin *origin = &record->origin;
    mtf_status status;
    mtf_event event = {0};
    mtf_arena_reset(&dlq->arena);
    if (mtf_str_is(origin->topic, s->topics_exploration)) {
        const mtf_event_decoder decoder = mtf_decoder_events(dlq->run.decoder);
        status = decoder.decode(decoder.self, record->message.value, &dlq->arena, &event, NULL);
        if (status == MTF_OK &&
            event.event_time_ms > mtf_clock_wall_ms() + s->sessionize_max_future_ms)
            return FATE_STILL_FUTURE;
        if (status == MTF_OK && event.user_id.size > MTF_KEY_BYTES_MAX) return FATE_STILL_BAD;
        /* It decoded before, too; its time is no clock's. */
        if (mtf_str_is(origin->stage, "sessionize") && mtf_str_is(origin->reason, "invalid"))
            return FATE_STILL_BAD;
    } else if (mtf_str_is(origin->topic, s->topics_sessions)) {
        mtf_session session;
        const mtf_session_decoder decoder = mtf_decoder_sessions(dlq->run.decoder);
        status = decoder.decode(decoder.self, record->message.value, &dlq->arena, &session, NULL);
    } else {
        return FATE_REPLAY;
    }
    return status == MTF_OK ? FATE_REPLAY : FATE_STILL_BAD;
}

static letter_fate fate_of(dlq_run *dlq, const aside_record *record)
{
    const mtf_settings *s = &dlq->run.cli->settings;
    if (record->replayed) return FATE_BEFORE;
    if (record->foreign) return FATE_FOREIGN;
    if (mtf_str_is(record->origin.reason, "too_large")) return FATE_TOO_LARGE;
    if (record->origin.original_bytes >= 0) return FATE_CUT;
    if (!mtf_str_is(record->origin.topic, s->topics_exploration) && !dlq->run.options->any_topic)
        return mtf_str_is(record->origin.topic, s->topics_sessions) ? FATE_LEARNER
                                                                    : FATE_OTHER_TOPIC;
    const letter_fate fate = try_again(dlq, record);
    const bool fits =
        !dlq->run.options->execute || record->message.value.size <= dlq->run.sink.value_bytes_max;
    return fate == FATE_REPLAY && !fits ? FATE_OVERSIZE : fate;
}

static mtf_status commit(dlq_run *dlq, mtf_err *err)
{
    const mtf_status status = replay_run_commit(&dlq->run, err);
    if (status == MTF_OK) dlq->settled = dlq->reasons;
    return status;
}

/** Its headers but ours, and where it was before. */
static mtf_status put_back(dlq_run *dlq, const aside_record *record, mtf_err *err)
{
    replay_run *run = &dlq->run;
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
    mtf_status status = replay_run_begin(run, err);
    if (status == MTF_OK)
        status = run->sink.put(run->sink.self, topic, message->key, message->value, headers, count,
                               0, err);
    if (status == MTF_OK) status = replay_run_done(run, message->partition, message->offset, err);
    return status == MTF_OK && replay_run_is_full(run) ? commit(dlq, err) : status;
}

static mtf_status replay_record(void *arg, const aside_record *record, mtf_err *err)
{
    dlq_run *dlq = arg;
    const mtf_message *message = &record->message;
    const letter_fate fate = fate_of(dlq, record);
    dlq->counts[fate]++;
    if (fate == FATE_REPLAY) {
        aside_reasons_add(&dlq->reasons, record->origin.stage, record->origin.reason);
        return dlq->run.options->execute ? put_back(dlq, record, err) : MTF_OK;
    }
    if (fate != FATE_BEFORE)
        replay_run_name(&dlq->run, message->partition, message->offset, fate_json[fate]);
    return MTF_OK;
}

/** A pass over the topic, all of it committed. What a pass before this one committed stays out. */
static mtf_status replay_pass(void *self, mtf_err *err)
{
    dlq_run *dlq = self;
    const int64_t replayed = dlq->run.committed;
    memset(dlq->counts, 0, sizeof dlq->counts);
    dlq->reasons = dlq->settled;
    mtf_status status = aside_topic_each(&dlq->run.topic, replay_record, dlq, err);
    if (status == MTF_OK) status = commit(dlq, err);
    dlq->counts[FATE_BEFORE] -= replayed;
    if (dlq->run.options->execute) dlq->counts[FATE_REPLAY] = dlq->run.committed;
    return status;
}

static void print_json(const dlq_run *dlq, mtf_buf *out)
{
    const bool executed = dlq->run.options->execute;
    mtf_buf_printf(out, "{\"executed\":%s", executed ? "true" : "false");
    for (int i = 0; i < FATES; i++) {
        const char *name = i == FATE_REPLAY && !executed ? "would_replay" : fate_json[i];
        mtf_buf_printf(out, ",\"%s\":%" PRId64, name, dlq->counts[i]);
    }
    mtf_buf_printf(out, ",\"reasons\":");
    aside_reasons_json(&dlq->reasons, out);
    mtf_buf_printf(out, ",\"not_replayed\":");
    replay_run_named_json(&dlq->run, out);
    mtf_buf_printf(out, "}\n");
}

static void print_text(const dlq_run *dlq, mtf_buf *out)
{
    const bool executed = dlq->run.options->execute;
    mtf_buf_printf(out, "dlq replay: %s %" PRId64 " records back%s\n",
                   executed ? "put" : "would put", dlq->counts[FATE_REPLAY],
                   executed ? "" : " (a dry run; --execute does it)");
    for (size_t i = 0; i < dlq->reasons.count; i++)
        mtf_buf_printf(out, "%12" PRId64 "  %-10s  %s\n", dlq->reasons.rows[i].count,
                       dlq->reasons.rows[i].stage, dlq->reasons.rows[i].reason);
    for (int i = FATE_BEFORE; i < FATES; i++)
        replay_run_named_text(&dlq->run, fate_json[i], dlq->counts[i], fate_words[i], out);
}

static void print(const void *self, mtf_buf *out)
{
    const dlq_run *dlq = self;
    (dlq->run.cli->json ? print_json : print_text)(dlq, out);
}

mtf_status dlq_replay(const mtf_cli *cli, const aside_options *o, const aside_filter *filter,
                      mtf_err *err)
{
    dlq_run dlq = {0};
    mtf_status status = replay_run_open(&dlq.run, cli, o, filter, "mtf-dlq-replay",
                                        cli->settings.topics_dead_letter, err);
    if (status == MTF_OK) status = replay_run_passes(&dlq.run, replay_pass, print, &dlq, err);
    mtf_arena_fini(&dlq.arena);
    replay_run_close(&dlq.run);
    return status;
}
