/** The sessionizer against Kafka: checks first, then a source, a sink, and the loop between. */
#include "cli/stages.h"
#include "ingest/encode.h"
#include "ingest/kafka_client.h"
#include "ingest/kafka_sink.h"

#include <stdlib.h>

/** Raise it when the same bytes decode to something else: it is part of the function hash. */
#define DECODER_VERSION "avro-1"

mtf_sessionize_config stage_sessionize_config(const stage_context *context)
{
    mtf_sessionize_config config = mtf_sessionize_config_of(context->settings);
    config.decoder = DECODER_VERSION;
    config.log = context->log;
    return config;
}

static mtf_status check_topics(const stage_context *context, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    const char *const topics[] = {s->topics_exploration, s->topics_sessions, s->topics_late,
                                  s->topics_dead_letter};
    mtf_kafka_client *client = NULL;
    mtf_status status =
        stage_client_open(context, topics, sizeof topics / sizeof *topics, &client, err);
    if (status == MTF_OK) {
        status = mtf_kafka_client_check_stamps(client, s->topics_exploration,
                                               s->sessionize_allow_create_time, err);
    }
    mtf_kafka_client_close(client);
    return status;
}

mtf_status sessionize_stage_open(sessionize_stage *stage, const stage_context *context,
                                 mtf_err *err)
{
    const mtf_settings *s = context->settings;
    *stage = (sessionize_stage){0};
    mtf_kafka_source *kafka = NULL;
    const mtf_kafka_source_config source = {
        .topic = s->topics_exploration,
        .group = s->sessionize_group,
        .instance = s->sessionize_instance,
        .count_gaps = true,
    };
    const mtf_sessionize_config config = stage_sessionize_config(context);
    mtf_status status = stage_settings_check(s, err);
    if (status == MTF_OK) status = stage_decoder_open(s, false, &stage->decoder, err);
    if (status == MTF_OK) status = check_topics(context, err);
    if (status == MTF_OK) status = mtf_kafka_source_open(s, context->log, &source, &kafka, err);
    if (status != MTF_OK) return status;
    stage->source = mtf_kafka_source_pipe(kafka);
    stage->events = mtf_decoder_events(stage->decoder);
    const mtf_kafka_sink_config sink = {.source = kafka};
    status = mtf_kafka_sink_open(s, context->log, &sink, &stage->sink, err);
    if (status != MTF_OK) return status;
    return mtf_sessionize_open(&config, &stage->source, &stage->sink, &stage->events,
                               mtf_session_encode, &stage->loop, err);
}

mtf_status sessionize_stage_run(sessionize_stage *stage, const stage_context *context, mtf_err *err)
{
    const mtf_status status = mtf_sessionize_run(stage->loop, context->stop, err);
    const mtf_sessionize_counters *counts = mtf_sessionize_count(stage->loop);
    mtf_buf line = {0};
    for (int i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        const int64_t value = mtf_sessionize_get(counts, (mtf_sessionize_counter)i);
        if (value)
            mtf_buf_printf(&line, "%s=%lld ",
                           mtf_sessionize_counter_name((mtf_sessionize_counter)i),
                           (long long)value);
    }
    mtf_log_line(context->log, MTF_LOG_INFO, "sessionize.end", "%s",
                 line.size ? (const char *)line.data : "");
    mtf_buf_fini(&line);
    if (status == MTF_OK && mtf_sessionize_imbalance(counts) != 0) {
        return mtf_fail(
            err, MTF_CORRUPT,
            "sessionize: %lld records went in and did not come out; see the counts above",
            (long long)mtf_sessionize_imbalance(counts));
    }
    return status;
}

void sessionize_stage_close(sessionize_stage *stage)
{
    if (stage->loop) mtf_sessionize_close(stage->loop);
    if (stage->sink.close) stage->sink.close(stage->sink.self);
    if (stage->source.close) stage->source.close(stage->source.self);
    mtf_decoder_close(stage->decoder);
    *stage = (sessionize_stage){0};
}
