/** A unit: what is put out between two commits, with the positions it goes with. */
#include <inttypes.h>

#include "sessionize/stage.h"

#define PAUSE_MS_MIN INT64_C(100)
#define PAUSE_MS_MAX INT64_C(10000)

bool mtf_stage_is_clean(const mtf_sessionize *stage)
{
    bool clean = !stage->begun;
    for (uint32_t i = 0; i < stage->partition_count; i++)
        clean = clean && !stage->partitions[i]->dirty;
    return clean;
}

/** How long after the n-th abort without a commit between to try again. */
static int64_t pause_ms(int64_t n)
{
    if (n < 2) return 0;
    const int64_t doubled_ms = PAUSE_MS_MIN << (n < 10 ? n - 2 : 8);
    return doubled_ms < PAUSE_MS_MAX ? doubled_ms : PAUSE_MS_MAX;
}

/** The first of a row is told, then ever fewer. */
static void note_abort(mtf_sessionize *stage, const mtf_err *why)
{
    const int64_t n = ++stage->aborts_in_a_row;
    stage->start_due_ms = stage->now_ms + pause_ms(n);
    mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_ABORTS], 1);
    if ((n & (n - 1)) == 0)
        mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.abort",
                     "in_a_row=%" PRId64 " again_in_ms=%" PRId64 " reason=\"%s\"", n, pause_ms(n),
                     why->msg);
}

mtf_status mtf_stage_give_up(mtf_sessionize *stage, const mtf_err *why, mtf_err *err)
{
    mtf_status status = MTF_OK;
    note_abort(stage, why);
    if (stage->begun) status = stage->sink->abort(stage->sink->self, err);
    stage->begun = false;
    memset(stage->tally, 0, sizeof stage->tally);
    mtf_stage_drop_parked(stage, INT64_MAX);
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        mtf_partition_drop(stage->partitions[i]);
        stage->partitions[i]->pending = stage->partitions[i]->unsure = true;
    }
    return status;
}

mtf_status mtf_stage_settle(mtf_sessionize *stage, mtf_status status, const mtf_err *why,
                            mtf_err *err)
{
    if (status != MTF_OK && err) *err = *why;
    if (status != MTF_AGAIN) return status;
    const mtf_status aborted = mtf_stage_give_up(stage, why, err);
    return aborted == MTF_OK ? MTF_AGAIN : aborted;
}

/** The positions of what changed, their metadata in partition->next. */
static uint32_t collect_positions(mtf_sessionize *stage)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        mtf_partition *partition = stage->partitions[i];
        if (!partition->dirty) continue;
        mtf_place place;
        mtf_machine_place(partition->machine, &place);
        mtf_place_print(&place, stage->function, partition->next);
        stage->positions[count++] =
            (mtf_position){partition->id, place.next_offset, partition->next};
    }
    return count;
}

/** What the commit made true: counters, committed positions, gauges. */
static void note_commit(mtf_sessionize *stage)
{
    mtf_counter *counters = stage->counters.values;
    stage->begun = false;
    if (stage->aborts_in_a_row > 1)
        mtf_log_line(stage->config.log, MTF_LOG_INFO, "sessionize.recovered", "aborts=%" PRId64,
                     stage->aborts_in_a_row);
    stage->aborts_in_a_row = 0;
    stage->tally[MTF_SESSIONIZE_COMMITS]++;
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        mtf_partition *partition = stage->partitions[i];
        if (!mtf_partition_is_live(partition)) continue;
        const int64_t open = (int64_t)partition->machine->open.count;
        stage->tally[MTF_SESSIONIZE_HELD] += partition->machine->kept - partition->held;
        stage->tally[MTF_SESSIONIZE_OPEN] += open - partition->open;
        partition->held = partition->machine->kept;
        partition->open = open;
        if (!partition->dirty) continue;
        partition->dirty = false;
        partition->committed_offset = partition->machine->next_offset;
        memcpy(partition->committed, partition->next, sizeof partition->committed);
    }
    for (int i = 0; i < MTF_SESSIONIZE_COUNTERS; i++) {
        mtf_counter_add(&counters[i], stage->tally[i]);
        stage->tally[i] = 0;
    }
}

mtf_status mtf_sessionize_commit(mtf_sessionize *stage, mtf_err *err)
{
    mtf_err why = {0};
    if (mtf_stage_is_clean(stage)) return MTF_OK;
    mtf_status status = mtf_stage_begin(stage, &why);
    if (status == MTF_OK) {
        const uint32_t count = collect_positions(stage);
        status = stage->sink->commit(stage->sink->self, stage->positions, count, &why);
    }
    if (status == MTF_OK) note_commit(stage);
    return mtf_stage_settle(stage, status, &why, err);
}
