#include "core/aside.h"
#include "sessionize/parts.h"
#include "sessionize/stage.h"

#include <inttypes.h>

mtf_status mtf_stage_begin(mtf_sessionize *stage, mtf_err *err)
{
    if (stage->begun) return MTF_OK;
    const mtf_status status = stage->sink->begin(stage->sink->self, err);
    stage->begun = status == MTF_OK;
    return status;
}

/** The reason of a header, and a sentence for who reads it there. */
static void explain(mtf_sessionize_counter counter, const char **reason, const char **words)
{
    *words = mtf_sessionize_counter_help(counter);
    switch (counter) {
    case MTF_SESSIONIZE_LATE:
        *reason = "late";
        break;
    case MTF_SESSIONIZE_LATE_NO_REQUEST:
        *reason = "no_request";
        break;
    case MTF_SESSIONIZE_LATE_DOUBLE_SIGNAL:
        *reason = "double_signal";
        break;
    case MTF_SESSIONIZE_DEAD_DECODE:
        *reason = "decode";
        break;
    case MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA:
        *reason = "unknown_schema";
        break;
    case MTF_SESSIONIZE_DEAD_SCHEMA:
        *reason = "schema";
        break;
    case MTF_SESSIONIZE_DEAD_FUTURE:
        *reason = "future_ts";
        break;
    case MTF_SESSIONIZE_TOO_LARGE:
        *reason = "too_large";
        break;
    default:
        MTF_ASSERT(counter == MTF_SESSIONIZE_DEAD_INVALID);
        *reason = "invalid";
    }
}

mtf_status mtf_stage_late(mtf_sessionize *stage, mtf_sessionize_counter counter,
                          const mtf_message *message, mtf_str user, mtf_err *err)
{
    const char *reason, *words;
    mtf_message keyed = *message;
    if (!keyed.key.data) keyed.key = (mtf_span){(const uint8_t *)user.data, user.size};
    mtf_status status = mtf_stage_begin(stage, err);
    if (status != MTF_OK) return status;
    explain(counter, &reason, &words);
    stage->tally[counter]++;
    return mtf_set_aside(stage->sink, stage->config.late_topic, &keyed, "sessionize", reason, words,
                         err);
}

mtf_status mtf_stage_dead(mtf_sessionize *stage, mtf_sessionize_counter counter,
                          const mtf_message *message, const char *at, const char *words,
                          mtf_err *err)
{
    const char *reason, *help;
    const mtf_status status = mtf_stage_begin(stage, err);
    if (status != MTF_OK) return status;
    explain(counter, &reason, &help);
    stage->tally[counter]++;
    return mtf_set_aside(stage->sink, stage->config.dead_letter_topic, message, at, reason, words,
                         err);
}

static mtf_status put_part(void *self, const mtf_session *part, mtf_span record, mtf_err *err)
{
    mtf_sessionize *stage = self;
    const mtf_span key = {(const uint8_t *)part->user_id.data, part->user_id.size};
    stage->tally[MTF_SESSIONIZE_PARTS]++;
    return stage->sink->put(stage->sink->self, stage->config.sessions_topic, key, record, NULL, 0,
                            0, err);
}

/** A kept record as the message it came in; of a request, the bytes are gone. */
static mtf_message message_of(const mtf_partition *partition, const mtf_record *record)
{
    return (mtf_message){
        .topic = mtf_str_of(partition->stage->topic),
        .partition = partition->id,
        .offset = record->offset,
        .timestamp_ms = record->append_ms,
        .key = record->key,
        .value = record->value,
    };
}

/** No record can hold the session: each of its events becomes a dead letter. */
static mtf_status bury_session(mtf_partition *partition, const mtf_activity *activity,
                               const mtf_emission *emission, uint32_t session, const char *words,
                               mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    mtf_status status = MTF_OK;
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.too_large",
                 "partition=%" PRId32 " events=%" PRIu32 " reason=\"%s\"", partition->id,
                 emission->event_counts[session], words);
    for (uint32_t i = 0; i < activity->records.count && status == MTF_OK; i++) {
        if (emission->session_of[i] != session) continue;
        const mtf_message message = message_of(partition, &emission->records[i]);
        status =
            mtf_stage_dead(stage, MTF_SESSIONIZE_TOO_LARGE, &message, "sessionize", words, err);
    }
    return status;
}

static mtf_status put_session(mtf_partition *partition, const mtf_activity *activity,
                              const mtf_emission *emission, uint32_t index, mtf_err *err)
{
    static const mtf_sessionize_counter by_reason[] = {
        [MTF_END_EVENT] = MTF_SESSIONIZE_SESSIONS_END_EVENT,
        [MTF_END_GAP] = MTF_SESSIONIZE_SESSIONS_GAP,
        [MTF_END_CAP] = MTF_SESSIONIZE_SESSIONS_CAP,
        [MTF_END_ID_CHANGE] = MTF_SESSIONIZE_SESSIONS_ID_CHANGE,
    };
    mtf_sessionize *stage = partition->stage;
    const mtf_session *session = &emission->sessions[index];
    mtf_err why = {0};
    const mtf_status status =
        mtf_session_parts(session, stage->encode, stage->sink->value_bytes_max, &stage->scratch,
                          &stage->emitted, put_part, stage, &why);
    if (status == MTF_SKIP) return bury_session(partition, activity, emission, index, why.msg, err);
    if (status != MTF_OK) return mtf_fail(err, status, "%s", why.msg);
    stage->tally[by_reason[session->end_reason]]++;
    stage->tally[MTF_SESSIONIZE_SESSION_EVENTS] += emission->event_counts[index];
    return MTF_OK;
}

mtf_status mtf_partition_closed(void *self, const mtf_activity *activity, int64_t headless_ms,
                                mtf_err *err)
{
    mtf_partition *partition = self;
    mtf_sessionize *stage = partition->stage;
    const mtf_emit_config config = {
        .gap_ms = stage->config.machine.gap_ms,
        .max_duration_ms = stage->config.machine.max_duration_ms,
        .aggregators = &stage->aggregators,
    };
    mtf_emission emission;
    mtf_arena_reset(&stage->emitted);
    mtf_status status = mtf_emit(&config, activity, headless_ms, &stage->emitted, &emission, err);
    if (status == MTF_OK) status = mtf_stage_begin(stage, err);
    for (uint32_t i = 0; status == MTF_OK && i < emission.session_count; i++)
        status = put_session(partition, activity, &emission, i, err);
    for (uint32_t i = 0; status == MTF_OK && i < emission.aside_count; i++) {
        const mtf_aside *aside = &emission.asides[i];
        const mtf_message message = message_of(partition, aside->record);
        status = mtf_stage_late(stage,
                                aside->reason == MTF_ASIDE_NO_REQUEST
                                    ? MTF_SESSIONIZE_LATE_NO_REQUEST
                                    : MTF_SESSIONIZE_LATE_DOUBLE_SIGNAL,
                                &message, mtf_activity_user(activity), err);
    }
    return status;
}
