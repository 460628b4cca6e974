#include "cli/replay_sink.h"

#include "core/fault.h"
#include "ingest/kafka_sink.h"

#include <stdio.h>
#include <string.h>

#define UNIT_RECORDS 1000

mtf_status replay_sink_open(replay_sink *sink, const stage_context *context, const char *command,
                            const char *topic, mtf_err *err)
{
    const mtf_settings *s = context->settings;
    const bool exactly_once = strcmp(s->sessionize_delivery, "exactly-once") == 0;
    char id[300]; /* a topic's name has 249 characters at most */
    snprintf(id, sizeof id, "%s-%s", command, topic);
    const mtf_kafka_sink_config config = {
        .transactional_id = exactly_once ? id : NULL,
        .stop = context->stop,
    };
    return mtf_kafka_sink_open(s, context->log, &config, &sink->sink, err);
}

void replay_sink_close(replay_sink *sink)
{
    if (sink->sink.close) sink->sink.close(sink->sink.self);
    aside_marks_fini(&sink->done);
    *sink = (replay_sink){0};
}

mtf_status replay_sink_begin(replay_sink *sink, mtf_err *err)
{
    if (sink->begun) return MTF_OK;
    const mtf_status status = sink->sink.begin(sink->sink.self, err);
    sink->begun = status == MTF_OK;
    return status;
}

mtf_status replay_sink_done(replay_sink *sink, int32_t partition, int64_t offset, mtf_err *err)
{
    return aside_marks_add(&sink->done, partition, offset, err);
}

bool replay_sink_is_full(const replay_sink *sink)
{
    return sink->done.count >= UNIT_RECORDS;
}

mtf_status replay_sink_commit(replay_sink *sink, aside_topic *topic, mtf_err *err)
{
    if (!sink->begun) return MTF_OK;
    mtf_status status = aside_topic_put_marks(topic, &sink->sink, &sink->done, err);
    if (status == MTF_OK) {
        mtf_fault_point("replay.commit");
        status = sink->sink.commit(sink->sink.self, NULL, 0, err);
    }
    if (status != MTF_OK) return status;
    mtf_fault_point("replay.committed");
    sink->begun = false;
    sink->committed += (int64_t)sink->done.count;
    return aside_topic_note_marks(topic, &sink->done, err);
}

void replay_sink_abort(replay_sink *sink)
{
    aside_marks_fini(&sink->done);
    if (!sink->begun) return;
    sink->begun = false;
    /* What cannot be aborted now is when the next run opens the id. */
    const mtf_status status = sink->sink.abort(sink->sink.self, NULL);
    (void)status;
}
