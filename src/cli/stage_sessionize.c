/** The sessionizer against Kafka: checks first, then members of the group, each a source, a sink
 * and the loop between. */
#include "cli/stages.h"
#include "cli/topics.h"
#include "core/encode.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_sink.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** What one thread runs. */
struct sessionize_member {
    char name[280]; /* static member name */
    const stage_context *context;
    mtf_decoder *decoder; /* it learns schemas as it goes, so each has its own */
    mtf_event_decoder events;
    mtf_source source;
    mtf_sink sink;
    mtf_board board;
    mtf_sessionize *loop;
    mtf_status status;
    mtf_err err;
};

mtf_sessionize_config stage_sessionize_config(const stage_context *context,
                                              const mtf_decoder *decoder)
{
    mtf_sessionize_config config = mtf_sessionize_config_of(context->settings);
    config.decoder = mtf_decoder_name(decoder);
    config.log = context->log;
    return config;
}

static mtf_status check_topics(const stage_context *context, mtf_err *err)
{
    static const topic_role roles[] = {TOPIC_EXPLORATION, TOPIC_SESSIONS, TOPIC_LATE,
                                       TOPIC_DEAD_LETTER};
    enum { COUNT = sizeof roles / sizeof *roles };
    const char *names[COUNT];
    mtf_kafka_client *client = NULL;
    for (size_t i = 0; i < COUNT; i++) names[i] = topic_name(context->settings, roles[i]);
    mtf_status status = stage_client_open(context, names, COUNT, &client, err);
    if (status == MTF_OK) status = topics_check(context, client, roles, COUNT, err);
    mtf_kafka_client_close(client);
    return status;
}

/** <instance>, or <instance>-<index> where there are several. */
static mtf_status name_member(sessionize_member *member, const mtf_settings *settings, int index,
                              mtf_err *err)
{
    char instance[MTF_KAFKA_INSTANCE_CHARS];
    const mtf_status status = mtf_kafka_instance(settings->sessionize_instance, instance, err);
    if (status != MTF_OK) return status;
    if (strchr(instance, ':'))
        return mtf_fail(err, MTF_INVALID,
                        "sessionize.instance: \"%s\" has a ':', which separates group and member "
                        "in transactional ids; take another name",
                        instance);
    if (settings->sessionize_threads == 1)
        snprintf(member->name, sizeof member->name, "%s", instance);
    else
        snprintf(member->name, sizeof member->name, "%s-%d", instance, index);
    return MTF_OK;
}

/** Of the group and the member: two groups of one cluster share no id, since no member's name has a
 *  colon. */
static void name_transactions(const sessionize_member *member, const char *group, char *id,
                              size_t size)
{
    const bool usual = strcmp(group, "mtf-sessionize") == 0;
    snprintf(id, size, "%s%s%s", group, usual ? "-" : ":", member->name);
}

static mtf_status open_sink(sessionize_member *member, mtf_kafka_source *source, mtf_err *err)
{
    const stage_context *context = member->context;
    const mtf_settings *s = context->settings;
    char id[sizeof member->name + 256];
    mtf_kafka_sink_config config = {
        .source = source, .stop = context->stop, .board = &member->board};
    name_transactions(member, s->sessionize_group, id, sizeof id);
    if (strcmp(s->sessionize_delivery, "exactly-once") == 0) {
        config.transactional_id = id;
        mtf_log_line(context->log, MTF_LOG_INFO, "sessionize.transactions", "id=%s", id);
    }
    return mtf_kafka_sink_open(s, context->log, &config, &member->sink, err);
}

static mtf_status open_member(sessionize_member *member, const stage_context *context, int index,
                              bool accept_config_change, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    mtf_kafka_source *kafka = NULL;
    member->context = context;
    mtf_board_init(&member->board);
    mtf_status status = name_member(member, s, index, err);
    if (status == MTF_OK) status = stage_decoder_open(s, STAGE_TOPIC_EVENTS, &member->decoder, err);
    if (status != MTF_OK) return status;
    mtf_log_line(context->log, MTF_LOG_INFO, "sessionize.member",
                 "instance=%s group=%s delivery=%s", member->name, s->sessionize_group,
                 s->sessionize_delivery);
    const mtf_kafka_source_config source = {
        .topic = s->topics_exploration,
        .group = s->sessionize_group,
        .instance = member->name,
        .count_gaps = true,
    };
    status = mtf_kafka_source_open(s, context->log, &source, &kafka, err);
    if (status != MTF_OK) return status;
    member->source = mtf_kafka_source_pipe(kafka);
    member->events = mtf_decoder_events(member->decoder);
    status = open_sink(member, kafka, err);
    if (status != MTF_OK) return status;
    mtf_sessionize_config config = stage_sessionize_config(context, member->decoder);
    config.accept_function = accept_config_change;
    config.keys_are_users = s->privacy_user_key_file[0] == '\0'; /* else ids are hashes, keys not */
    config.board = &member->board;
    return mtf_sessionize_open(&config, &member->source, &member->sink, &member->events,
                               mtf_session_encode, &member->loop, err);
}

static void close_member(sessionize_member *member)
{
    mtf_sessionize_close(member->loop);
    if (member->sink.close) member->sink.close(member->sink.self);
    if (member->source.close) member->source.close(member->source.self);
    mtf_decoder_close(member->decoder);
    mtf_board_fini(&member->board);
}

mtf_status sessionize_stage_open(sessionize_stage *stage, const stage_context *context,
                                 bool accept_config_change, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    *stage = (sessionize_stage){.context = context};
    mtf_status status = stage_settings_check(s, STAGE_TOPIC_EVENTS, err);
    if (status == MTF_OK) status = check_topics(context, err);
    if (status != MTF_OK) return status;
    stage->members = calloc((size_t)s->sessionize_threads, sizeof *stage->members);
    if (!stage->members) return mtf_fail(err, MTF_NOMEM, "no memory for the sessionizer's members");
    for (; status == MTF_OK && stage->count < s->sessionize_threads; stage->count++)
        status = open_member(&stage->members[stage->count], context, stage->count,
                             accept_config_change, err);
    return status;
}

/** Whoever ends first, in order or not, ends the others: a part that works would only hide it. */
static void *run_member(void *arg)
{
    sessionize_member *member = arg;
    member->status = mtf_sessionize_run(member->loop, member->context->stop, &member->err);
    if (member->status != MTF_OK)
        mtf_log_line(member->context->log, MTF_LOG_ERROR, "sessionize.failed",
                     "instance=%s reason=\"%s\"", member->name, member->err.msg);
    atomic_store(member->context->stop, true);
    return NULL;
}

/** The first on this thread, the others on threads of their own; the first failure is the stage's.
 */
static mtf_status run_members(sessionize_stage *stage, mtf_err *err)
{
    mtf_status status = MTF_OK;
    int started = 1;
    pthread_t *threads = calloc((size_t)stage->count, sizeof *threads);
    if (!threads) return mtf_fail(err, MTF_NOMEM, "no memory for the sessionizer's threads");
    while (started < stage->count &&
           pthread_create(&threads[started], NULL, run_member, &stage->members[started]) == 0)
        started++;
    if (started == stage->count) {
        run_member(&stage->members[0]);
    } else {
        status = mtf_fail(err, MTF_NOMEM, "cannot start thread %d of the sessionizer", started);
        atomic_store(stage->context->stop, true);
    }
    for (int i = 1; i < started; i++) pthread_join(threads[i], NULL);
    free(threads);
    for (int i = 0; i < stage->count && status == MTF_OK; i++) {
        status = stage->members[i].status;
        if (status != MTF_OK && err) *err = stage->members[i].err;
    }
    return status;
}

mtf_status sessionize_report(const mtf_log *log, const mtf_sessionize_counters *counts,
                             mtf_err *err)
{
    mtf_buf line = {0};
    for (int i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        const int64_t value = mtf_sessionize_get(counts, (mtf_sessionize_counter)i);
        if (value)
            mtf_buf_printf(&line, "%s=%lld ",
                           mtf_sessionize_counter_name((mtf_sessionize_counter)i),
                           (long long)value);
    }
    mtf_log_line(log, MTF_LOG_INFO, "sessionize.end", "%s",
                 line.size ? (const char *)line.data : "");
    mtf_buf_fini(&line);
    if (mtf_sessionize_imbalance(counts) == 0) return MTF_OK;
    return mtf_fail(err, MTF_CORRUPT,
                    "sessionize: %lld records went in and did not come out; see the counts above",
                    (long long)mtf_sessionize_imbalance(counts));
}

mtf_status sessionize_stage_run(sessionize_stage *stage, mtf_err *err)
{
    mtf_sessionize_counters counts;
    const mtf_status status = run_members(stage, err);
    sessionize_stage_count(stage, &counts);
    const mtf_status balance =
        sessionize_report(stage->context->log, &counts, status == MTF_OK ? err : NULL);
    return status == MTF_OK ? balance : status;
}

void sessionize_stage_count(const sessionize_stage *stage, mtf_sessionize_counters *sum)
{
    *sum = (mtf_sessionize_counters){0};
    for (int i = 0; i < stage->count; i++) {
        if (!stage->members[i].loop) continue;
        const mtf_sessionize_counters *counts = mtf_sessionize_count(stage->members[i].loop);
        for (int k = 0; k < MTF_SESSIONIZE_COUNTERS; k++)
            mtf_counter_add(&sum->values[k], mtf_counter_get(&counts->values[k]));
    }
}

sessionize_look sessionize_stage_look(const sessionize_stage *stage, int index)
{
    sessionize_member *member = &stage->members[index];
    return (sessionize_look){mtf_sessionize_count(member->loop), member->source.self, &member->sink,
                             &member->board};
}

void sessionize_stage_close(sessionize_stage *stage)
{
    for (int i = 0; i < stage->count; i++) close_member(&stage->members[i]);
    free(stage->members);
    *stage = (sessionize_stage){0};
}
