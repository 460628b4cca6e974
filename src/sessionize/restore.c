#include "sessionize/stage.h"

#include <inttypes.h>

/** A commit that cannot be used: refused with the way out, or passed over as the operator wished.
 *  [S, L) is what its open sessions were made of, unknown (S = -1) where it does not parse. */
static mtf_status pass_over(const mtf_partition *partition, int64_t safe_offset, const mtf_err *why,
                            mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    const int64_t offset = partition->committed_offset;
    if (!stage->config.accept_function)
        return mtf_fail(err, MTF_INVALID,
                        "partition %" PRId32 ", commit at offset %" PRId64
                        ": %s; --accept-config-change starts clean there: sessions that are open "
                        "at it are lost",
                        partition->id, offset, why->msg);
    mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_CLEAN_STARTS], 1);
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.start_clean",
                 "partition=%" PRId32 " offset=%" PRId64 " open_from=%" PRId64
                 " records_at_most=%" PRId64 " meaning=\"what was open at the commit is lost, its "
                 "records are not read again; what comes may lack its head\" reason=\"%s\"",
                 partition->id, offset, safe_offset, safe_offset < 0 ? -1 : offset - safe_offset,
                 why->msg);
    return MTF_OK;
}

/** Whether all that records since the commit's safe offset were decoded by is still there. */
static mtf_status check_schemas(const mtf_partition *partition, const mtf_place *place,
                                mtf_err *why)
{
    const mtf_event_decoder *decoder = &partition->stage->decoder;
    mtf_status status = MTF_OK;
    mtf_err cause = {0};
    for (uint32_t i = 0; decoder->need && status == MTF_OK && i < place->schema_count; i++)
        status = decoder->need(decoder->self, place->schemas[i].schema, &cause);
    if (status == MTF_OK) return MTF_OK;
    return mtf_fail(why, status,
                    "a schema that its open sessions were read with is not here: %.200s; put it "
                    "back as it was",
                    cause.msg);
}

/** Where the last commit says to start. */
static mtf_status committed_place(const mtf_partition *partition, int64_t first, mtf_place *place,
                                  mtf_err *err)
{
    const int64_t committed = partition->committed_offset;
    uint64_t function = 0;
    mtf_err why;
    *place = mtf_place_clean(committed < 0 ? first : committed);
    if (committed < 0 || !partition->committed[0]) return MTF_OK; /* new, or an operator's reset */

    mtf_place found;
    mtf_status status = mtf_place_parse(partition->committed, &found, &function, &why);
    if (status == MTF_OK && found.next_offset != committed)
        status =
            mtf_fail(&why, MTF_INVALID, "its metadata is of offset %" PRId64, found.next_offset);
    if (status != MTF_OK) return pass_over(partition, -1, &why, err);
    if (function != partition->stage->function) {
        (void)mtf_fail(&why, MTF_INVALID,
                       "it was made under another gap_ms, grace_ms, out_of_orderness_ms, "
                       "max_future_ms, max_duration_ms, max_events or aggregators of sessionize, "
                       "another schema.framing, policy.state_dim, count of policy.actions or "
                       "privacy.user_key_file, or by another version");
        return pass_over(partition, found.safe_offset, &why, err);
    }
    if (check_schemas(partition, &found, &why) != MTF_OK)
        return pass_over(partition, found.safe_offset, &why, err);
    *place = found;
    return MTF_OK;
}

/** Notes what of [safe, next) and after is no longer in the log. */
static void note_losses(mtf_partition *partition, const mtf_place *place, int64_t first)
{
    mtf_sessionize *stage = partition->stage;
    if (first <= place->safe_offset) return;
    mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_HEADS_LOST], 1);
    if (first > place->next_offset)
        mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_OFFSETS_LOST],
                        first - place->next_offset);
    mtf_log_line(stage->config.log, MTF_LOG_ERROR, "sessionize.head_lost",
                 "partition=%" PRId32 " safe=%" PRId64 " next=%" PRId64 " log_start=%" PRId64
                 " remedy=\"retention of the input must exceed max_duration + gap + grace + "
                 "downtime\"",
                 partition->id, place->safe_offset, place->next_offset, first);
}

static void note_quiet(mtf_partition *partition)
{
    partition->quiet_since_ms = partition->stage->now_ms;
    partition->quiet_watermark_ms = partition->machine->watermark_ms;
}

static void became_live(mtf_partition *partition)
{
    mtf_sessionize *stage = partition->stage;
    note_quiet(partition);
    stage->tally[MTF_SESSIONIZE_RESTORED] += partition->machine->kept;
    partition->dirty = partition->machine->kept > 0;
}

/** What the group holds as committed, where the stage's memory may be behind: the commit that was
 *  given up may have gone through, or another member's came between. */
static mtf_status ask_committed(mtf_partition *partition, mtf_err *err)
{
    mtf_source *source = partition->stage->source;
    mtf_status status = MTF_OK;
    if (source->committed)
        status = source->committed(source->self, partition->id, &partition->committed_offset,
                                   partition->committed, err);
    partition->unsure = status != MTF_OK;
    return status;
}

/** A partition without a commit, in a group that has one of the topic's first: either nothing has
 *  come to it yet, or it is new, and users have moved to it in the midst of their sessions. */
static void warn_if_new(const mtf_partition *partition)
{
    const mtf_sessionize *stage = partition->stage;
    mtf_source *source = stage->source;
    char metadata[MTF_METADATA_BYTES_MAX + 1];
    const mtf_partition *first = mtf_stage_find(stage, 0);
    int64_t offset = first ? first->committed_offset : -1;
    if (partition->committed_offset >= 0 || partition == first) return;
    if (!first && (!source->committed ||
                   source->committed(source->self, 0, &offset, metadata, NULL) != MTF_OK))
        return;
    if (offset < 0) return;
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.new_partition",
                 "partition=%" PRId32 " meaning=\"the group never committed it, but has committed "
                 "partition 0: if the topic was widened, sessions of users that moved here are "
                 "split in two, and neither half is marked\"",
                 partition->id);
}

/** The machine of the last commit, at its S or where the log now begins. */
static mtf_status rebuild(mtf_partition *partition, int64_t first, int64_t end, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    const mtf_machine_output output = {partition, mtf_partition_closed};
    mtf_place place;
    const mtf_status status = committed_place(partition, first, &place, err);
    if (status != MTF_OK) return status;
    if (place.next_offset > end)
        return mtf_fail(err, MTF_CORRUPT,
                        "partition %" PRId32 ": the commit is at offset %" PRId64
                        ", the log ends at %" PRId64 ": it was cut short or made anew; reset the "
                        "group's offset where reading shall go on",
                        partition->id, place.next_offset, end);
    warn_if_new(partition);
    const int64_t offset = first > place.safe_offset ? first : place.safe_offset;
    partition->machine =
        mtf_machine_new(&stage->config.machine, &output, &stage->keeper, &place, offset);
    if (!partition->machine) return mtf_fail(err, MTF_NOMEM, "no memory for a partition's state");
    note_losses(partition, &place, first);
    partition->fed = false;
    return MTF_OK;
}

mtf_status mtf_partition_start(mtf_partition *partition, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    mtf_source *source = stage->source;
    int64_t first = 0, end = 0;
    MTF_ASSERT(partition->pending);
    mtf_status status = partition->unsure ? ask_committed(partition, err) : MTF_OK;
    if (status == MTF_OK) status = source->range(source->self, partition->id, &first, &end, err);
    if (status != MTF_OK) return status;
    if (partition->machine &&
        (partition->machine->next_offset < first || partition->machine->next_offset > end))
        mtf_partition_drop(partition); /* the log is not what it was: the usual path sees how */
    const bool kept = partition->machine != NULL;
    if (!kept) status = rebuild(partition, first, end, err);
    if (status != MTF_OK) return status;
    mtf_machine *machine = partition->machine;
    status = source->start(source->self, partition->id, machine->next_offset, err);
    if (status != MTF_OK) {
        if (!kept) mtf_partition_drop(partition);
        return status;
    }
    partition->pending = false;
    mtf_log_line(stage->config.log, MTF_LOG_INFO, "sessionize.start",
                 "partition=%" PRId32 " offset=%" PRId64 " live=%" PRId64 " kept=%s", partition->id,
                 machine->next_offset,
                 machine->replaying ? machine->live_offset : machine->next_offset,
                 kept ? "true" : "false");
    if (kept) mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_STATES_KEPT], 1);
    if (kept)
        note_quiet(partition);
    else if (!machine->replaying)
        became_live(partition);
    return MTF_OK;
}

void mtf_partition_go_live(mtf_partition *partition)
{
    mtf_sessionize *stage = partition->stage;
    const int64_t expected_ms = partition->machine->live_watermark_ms;
    if (!mtf_machine_go_live(partition->machine)) {
        mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_MISMATCHES], 1);
        mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.replay_mismatch",
                     "partition=%" PRId32 " offset=%" PRId64 " watermark_ms=%" PRId64
                     " committed_ms=%" PRId64,
                     partition->id, partition->machine->next_offset,
                     partition->machine->watermark_ms, expected_ms);
    }
    became_live(partition);
}

void mtf_partition_drop(mtf_partition *partition)
{
    mtf_counter *counters = partition->stage->counters.values;
    mtf_counter_add(&counters[MTF_SESSIONIZE_RELEASED], partition->held);
    mtf_counter_add(&counters[MTF_SESSIONIZE_HELD], -partition->held);
    mtf_counter_add(&counters[MTF_SESSIONIZE_OPEN], -partition->open);
    partition->held = partition->open = 0;
    mtf_machine_free(partition->machine);
    partition->machine = NULL;
    partition->dirty = partition->at_end = false;
}
