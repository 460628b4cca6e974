/** What the stage does with one record, in a replay and live. */
#include <inttypes.h>
#include <stdio.h>

#include "core/aside.h"
#include "core/fault.h"
#include "core/hash.h"
#include "sessionize/stage.h"

/** The reason of a refusal, which opens its words. */
static mtf_sessionize_counter counter_of(const mtf_err *why)
{
    const size_t size = strcspn(why->msg, ":");
    const mtf_str reason = {why->msg, (uint32_t)size};
    if (mtf_str_is(reason, "unknown_schema")) return MTF_SESSIONIZE_DEAD_UNKNOWN_SCHEMA;
    if (mtf_str_is(reason, "schema")) return MTF_SESSIONIZE_DEAD_SCHEMA;
    if (mtf_str_is(reason, "invalid")) return MTF_SESSIONIZE_DEAD_INVALID;
    if (mtf_str_is(reason, "future_ts")) return MTF_SESSIONIZE_DEAD_FUTURE;
    return MTF_SESSIONIZE_DEAD_DECODE;
}

static mtf_status decode(mtf_sessionize *stage, const mtf_message *message, mtf_event *event,
                         mtf_err *why)
{
    mtf_arena_reset(&stage->decoded);
    const mtf_status status =
        stage->decoder.decode(stage->decoder.self, message->value, &stage->decoded, event, why);
    if (status == MTF_OK && event->user_id.size > MTF_KEY_BYTES_MAX)
        return mtf_fail(why, MTF_SKIP, "invalid: user_id: longer than %d bytes", MTF_KEY_BYTES_MAX);
    return status;
}

/** MTF_SKIP: a dead letter for its schema's sake; see mtf_machine_admit. */
static mtf_status admit(mtf_partition *partition, const mtf_message *message, mtf_err *why)
{
    const mtf_event_decoder *decoder = &partition->stage->decoder;
    const uint64_t schema = decoder->schema ? decoder->schema(decoder->self, message->value) : 0;
    if (mtf_machine_admit(partition->machine, schema, message->offset)) return MTF_OK;
    return mtf_fail(why, MTF_SKIP,
                    "unknown_schema: sessions that are open hold records of %d schemas, and a "
                    "commit names no more; mtf dlq replay when they have closed",
                    MTF_SCHEMAS_MAX);
}

/** A record that was seen before: only the machine sees it again. */
static mtf_status replay(mtf_partition *partition, const mtf_message *message, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    mtf_machine *machine = partition->machine;
    mtf_event event;
    mtf_fate fate;
    mtf_err why = {0};
    mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_REPLAYED], 1);
    mtf_status status = decode(stage, message, &event, &why);
    if (status == MTF_OK) status = admit(partition, message, &why);
    if (status == MTF_OK) {
        status = mtf_machine_record(machine, message, &event, &fate, err);
    } else if (status == MTF_SKIP) {
        mtf_machine_skip(machine, message->offset);
        status = MTF_OK;
    } else if (err) {
        *err = why;
    }
    if (status == MTF_OK && machine->next_offset == machine->live_offset)
        mtf_partition_go_live(partition);
    return status;
}

/** MTF_SKIP: no time that it could have been made at. */
static mtf_status vet(const mtf_partition *partition, const mtf_message *message,
                      const mtf_event *event, mtf_err *why)
{
    const mtf_fate fate = mtf_machine_vet(partition->machine, message, event);
    if (fate == MTF_FATE_FUTURE)
        return mtf_fail(why, MTF_SKIP,
                        "future_ts: event time %" PRId64 " ms ahead of the append time, "
                        "sessionize.max_future_ms is %" PRId64,
                        event->event_time_ms - message->timestamp_ms,
                        partition->machine->config.max_future_ms);
    if (fate == MTF_FATE_TIME_RANGE)
        return mtf_fail(why, MTF_SKIP, "invalid: a time no clock gives");
    return MTF_OK;
}

/** Too many bad records in a row: what came before this one counts, so that the next start stops
 *  here again and nothing is done twice. */
static mtf_status stop_here(mtf_partition *partition, const mtf_message *message,
                            const mtf_err *why, mtf_err *err)
{
    const mtf_status status = mtf_sessionize_commit(partition->stage, err);
    if (status != MTF_OK) return status == MTF_AGAIN ? MTF_OK : status; /* it comes again */
    return mtf_fail(err, MTF_CORRUPT,
                    "%" PRId64 " bad records in a row, the last at partition %" PRId32
                    " offset %" PRId64 ": %.150s; mend the producer or the schemas, or raise "
                    "errors.max_consecutive (0 = never stop) to have them set aside",
                    partition->machine->bad_in_a_row + 1, message->partition, message->offset,
                    why->msg);
}

static bool is_one_too_many(const mtf_partition *partition)
{
    const int64_t limit = partition->stage->config.errors_max_consecutive;
    return limit > 0 && partition->machine->bad_in_a_row + 1 >= limit;
}

/** Where a record goes that the machine did not keep. */
static mtf_status follow_fate(mtf_sessionize *stage, mtf_fate fate, const mtf_message *message,
                              mtf_str user, mtf_err *err)
{
    switch (fate) {
    case MTF_FATE_LATE:
        return mtf_stage_late(stage, MTF_SESSIONIZE_LATE, message, user, err);
    case MTF_FATE_NO_REQUEST:
        return mtf_stage_late(stage, MTF_SESSIONIZE_LATE_NO_REQUEST, message, user, err);
    case MTF_FATE_FUTURE: /* vetted before */
    case MTF_FATE_TIME_RANGE:
    case MTF_FATE_KEPT:
    case MTF_FATE_DUPLICATE:
    case MTF_FATE_OVER_CAP:
        break;
    }
    return MTF_OK;
}

/** An event under another key may stand in another partition than its user's others. It is good all
 *  the same: there it has its place. */
static void check_key(mtf_sessionize *stage, const mtf_message *message, mtf_str user)
{
    const mtf_str key = {(const char *)message->key.data, (uint32_t)message->key.size};
    if (!stage->config.keys_are_users || mtf_str_equal(key, user)) return;
    stage->tally[MTF_SESSIONIZE_STRAY_KEYS]++;
    if (!mtf_stage_may_tell(stage, &stage->stray_told_ms)) return;
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.stray_key",
                 "partition=%" PRId32 " offset=%" PRId64
                 " reason=\"the record's key is not its user "
                 "id, so the user's sessions may be split over partitions; key events by user id\"",
                 message->partition, message->offset);
}

static mtf_status take_event(mtf_partition *partition, const mtf_message *message,
                             const mtf_event *event, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    mtf_machine *machine = partition->machine;
    mtf_fate fate = MTF_FATE_KEPT;
    check_key(stage, message, event->user_id);
    mtf_status status = mtf_machine_record(machine, message, event, &fate, err);
    if (status == MTF_OK) status = follow_fate(stage, fate, message, event->user_id, err);
    stage->tally[MTF_SESSIONIZE_DUPLICATES] += machine->drops.duplicates;
    stage->tally[MTF_SESSIONIZE_OVER_CAP] += machine->drops.over_cap;
    machine->drops = (mtf_drops){0};
    return status;
}

/** What comes next is looked up in memory while this record is worked on: at a million open
 * sessions each of three reads, one by way of the other, is a cache miss. */
static void expect(mtf_sessionize *stage, const mtf_input *input)
{
    const mtf_partition *partition =
        input->next_key.data ? mtf_stage_find(stage, input->next_partition) : NULL;
    stage->expected = partition ? partition->machine : NULL;
    if (!stage->expected) return;
    stage->expected_hash = mtf_hash64(input->next_key.data, input->next_key.size);
    mtf_machine_expect(stage->expected, stage->expected_hash, 0);
}

static void expect_further(const mtf_sessionize *stage, int step)
{
    if (stage->expected) mtf_machine_expect(stage->expected, stage->expected_hash, step);
}

static mtf_status take_live(mtf_partition *partition, const mtf_message *message, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    mtf_event event;
    mtf_err why = {0};
    const char *at = "decode";
    mtf_status status = decode(stage, message, &event, &why);
    expect_further(stage, 1);
    if (status == MTF_OK) {
        at = "sessionize";
        status = vet(partition, message, &event, &why);
        if (status == MTF_OK) status = admit(partition, message, &why);
    }
    if (status == MTF_SKIP && is_one_too_many(partition))
        return stop_here(partition, message, &why, err);
    stage->tally[MTF_SESSIONIZE_IN]++;
    partition->dirty = true;
    if (status == MTF_OK) {
        status = take_event(partition, message, &event, err);
        expect_further(stage, 2);
    } else if (status == MTF_SKIP) {
        mtf_machine_skip(partition->machine, message->offset);
        status = mtf_stage_dead(stage, counter_of(&why), message, at, why.msg, err);
    } else if (err) {
        *err = why;
    }
    partition->at_end = false;
    partition->quiet_since_ms = stage->now_ms;
    partition->quiet_watermark_ms = partition->machine->watermark_ms;
    return status;
}

mtf_status mtf_stage_take(mtf_sessionize *stage, const mtf_input *input, mtf_err *err)
{
    const mtf_message *message = &input->message;
    mtf_partition *partition = mtf_stage_find(stage, message->partition);
    if (!partition || partition->pending) return MTF_OK; /* to be read again, or no longer ours */
    mtf_machine *machine = partition->machine;
    if (message->offset < machine->next_offset)
        return mtf_fail(err, MTF_CORRUPT,
                        "partition %" PRId32 ": offset %" PRId64 " came where %" PRId64
                        " or later was to come",
                        message->partition, message->offset, machine->next_offset);
    if (!stage->topic[0])
        snprintf(stage->topic, sizeof stage->topic, "%.*s", (int)message->topic.size,
                 message->topic.data);
    if (machine->replaying && !partition->fed && message->offset > machine->next_offset) {
        /* S was the offset of a record: retention was faster than our question for it. */
        machine->headless_ms = MTF_HEADLESS_OPEN;
        mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_HEADS_LOST], 1);
    }
    if (machine->replaying && !partition->fed) mtf_fault_point("sessionize.replay");
    partition->fed = true;
    if (machine->replaying && message->offset >= machine->live_offset)
        mtf_partition_go_live(partition);
    expect(stage, input);
    return machine->replaying ? replay(partition, message, err)
                              : take_live(partition, message, err);
}
