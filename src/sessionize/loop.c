#include "sessionize/loop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/fault.h"
#include "sessionize/stage.h"

/** A drained source's last commit is tried so often. */
#define LAST_COMMIT_TRIES 3
#define PAUSE_FILL        0.75 /* of the sink's queue */
#define RESUME_FILL       0.25
#define POLL_MS           100
/** The longest a rebalance takes (max.poll.interval.ms of whoever joins last): after it, what was
 *  revoked is not coming back. */
#define PARKED_MS_MAX      300000
#define ASK_AGAIN_MS       200  /* until a source without an answer is asked again */
#define TELL_UNANSWERED_MS 5000 /* until the log tells of that, again and again */

mtf_sessionize_config mtf_sessionize_config_of(const mtf_settings *settings)
{
    return (mtf_sessionize_config){
        .machine = {.gap_ms = settings->sessionize_gap_ms,
                    .grace_ms = settings->sessionize_grace_ms,
                    .out_of_orderness_ms = settings->sessionize_out_of_orderness_ms,
                    .max_future_ms = settings->sessionize_max_future_ms,
                    .max_duration_ms = settings->sessionize_max_duration_ms,
                    .max_events = (uint32_t)settings->sessionize_max_events},
        .aggregators = settings->sessionize_aggregators,
        .decoder = "",
        .sessions_topic = settings->topics_sessions,
        .late_topic = settings->topics_late,
        .dead_letter_topic = settings->topics_dead_letter,
        .idle_timeout_ms = settings->sessionize_idle_timeout_ms,
        .commit_interval_ms = settings->sessionize_commit_interval_ms,
        .errors_max_consecutive = settings->errors_max_consecutive,
    };
}

static void read_clock(mtf_sessionize *stage)
{
    stage->now_ms =
        stage->config.now_ms ? stage->config.now_ms(stage->config.now_arg) : mtf_clock_coarse_ms();
}

mtf_status mtf_sessionize_function(const mtf_sessionize_config *config, uint64_t *function,
                                   mtf_err *err)
{
    mtf_aggregators aggregators;
    const mtf_status status = mtf_aggregators_init(&aggregators, config->aggregators, err);
    if (status == MTF_OK)
        *function = mtf_machine_function(&config->machine, aggregators.canonical, config->decoder);
    mtf_aggregators_fini(&aggregators);
    return status;
}

mtf_status mtf_sessionize_open(const mtf_sessionize_config *config, mtf_source *source,
                               mtf_sink *sink, const mtf_event_decoder *decoder,
                               mtf_session_encode_fn encode, mtf_sessionize **stage, mtf_err *err)
{
    *stage = NULL;
    mtf_sessionize *made = calloc(1, sizeof *made);
    if (!made) return mtf_fail(err, MTF_NOMEM, "no memory for the sessionize stage");
    made->config = *config;
    made->source = source;
    made->sink = sink;
    made->decoder = *decoder;
    made->encode = encode;
    read_clock(made);
    made->commit_due_ms = made->now_ms + config->commit_interval_ms;
    const mtf_status status = mtf_aggregators_init(&made->aggregators, config->aggregators, err);
    if (status != MTF_OK) {
        mtf_sessionize_close(made);
        return status;
    }
    made->function =
        mtf_machine_function(&config->machine, made->aggregators.canonical, config->decoder);
    *stage = made;
    return MTF_OK;
}

void mtf_sessionize_close(mtf_sessionize *stage)
{
    if (!stage) return;
    mtf_stage_drop_parked(stage, INT64_MAX);
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        mtf_machine_free(stage->partitions[i]->machine);
        free(stage->partitions[i]);
    }
    free(stage->partitions);
    free(stage->positions);
    mtf_aggregators_fini(&stage->aggregators);
    mtf_keeper_fini(&stage->keeper);
    mtf_arena_fini(&stage->decoded);
    mtf_arena_fini(&stage->emitted);
    mtf_buf_fini(&stage->scratch);
    free(stage);
}

const mtf_sessionize_counters *mtf_sessionize_count(const mtf_sessionize *stage)
{
    return &stage->counters;
}

static uint32_t index_of(const mtf_sessionize *stage, int32_t id)
{
    uint32_t i = 0;
    while (i < stage->partition_count && stage->partitions[i]->id != id) i++;
    return i;
}

mtf_partition *mtf_stage_find(const mtf_sessionize *stage, int32_t id)
{
    const uint32_t i = index_of(stage, id);
    return i < stage->partition_count ? stage->partitions[i] : NULL;
}

/** Room for one more. */
static mtf_status reserve_partition(mtf_sessionize *stage, mtf_err *err)
{
    if (stage->partition_count < stage->partition_capacity) return MTF_OK;
    const uint32_t capacity = stage->partition_capacity ? 2 * stage->partition_capacity : 8;
    mtf_partition **partitions = realloc(stage->partitions, sizeof(mtf_partition *) * capacity);
    if (partitions) stage->partitions = partitions;
    mtf_position *positions = realloc(stage->positions, sizeof *positions * capacity);
    if (positions) stage->positions = positions;
    if (!partitions || !positions)
        return mtf_fail(err, MTF_NOMEM, "no memory for %" PRIu32 " partitions", capacity);
    stage->partition_capacity = capacity;
    return MTF_OK;
}

static mtf_partition *new_partition(mtf_sessionize *stage, const mtf_input *input)
{
    mtf_partition *partition = calloc(1, sizeof *partition);
    if (!partition) return NULL;
    partition->stage = stage;
    partition->id = input->partition;
    partition->pending = true;
    partition->committed_offset = input->committed_offset;
    snprintf(partition->committed, sizeof partition->committed, "%s", input->metadata);
    return partition;
}

/** One that is now ours, pending: with its state, if we kept it. */
static mtf_status add_partition(mtf_sessionize *stage, const mtf_input *input, mtf_err *err)
{
    MTF_ASSERT(!mtf_stage_find(stage, input->partition));
    const mtf_status status = reserve_partition(stage, err);
    if (status != MTF_OK) return status;
    mtf_partition *partition = mtf_stage_unpark(stage, input);
    if (!partition) partition = new_partition(stage, input);
    if (!partition) return mtf_fail(err, MTF_NOMEM, "no memory for a partition");
    stage->partitions[stage->partition_count++] = partition;
    return MTF_OK;
}

/** Out of the stage's partitions; NULL when it is not ours. */
static mtf_partition *take_out(mtf_sessionize *stage, int32_t id)
{
    const uint32_t i = index_of(stage, id);
    if (i == stage->partition_count) return NULL;
    mtf_partition *partition = stage->partitions[i];
    stage->partitions[i] = stage->partitions[--stage->partition_count];
    return partition;
}

static mtf_status on_revoke(mtf_sessionize *stage, int32_t id, mtf_err *err)
{
    mtf_fault_point("sessionize.revoke");
    const mtf_status status = mtf_sessionize_commit(stage, err);
    if (status != MTF_OK && status != MTF_AGAIN) return status;
    mtf_partition *partition = take_out(stage, id);
    if (partition) mtf_stage_park(stage, partition);
    return MTF_OK; /* after MTF_AGAIN it has no state: whoever has it next reads it again */
}

static mtf_status on_lost(mtf_sessionize *stage, int32_t id, mtf_err *err)
{
    mtf_status status = MTF_OK;
    if (!mtf_stage_is_clean(stage)) {
        /* What the partition put out stands in the same unit as the others' output. */
        const mtf_err why = {.msg = "a partition was lost"};
        status = mtf_stage_give_up(stage, &why, err);
    }
    mtf_partition *partition = take_out(stage, id);
    if (partition) mtf_partition_drop(partition);
    free(partition);
    return status;
}

static mtf_status on_input(mtf_sessionize *stage, const mtf_input *input, mtf_err *err)
{
    mtf_partition *partition = mtf_stage_find(stage, input->partition);
    switch (input->kind) {
    case MTF_INPUT_MESSAGE:
        return mtf_stage_take(stage, input, err);
    case MTF_INPUT_ASSIGN:
        return add_partition(stage, input, err);
    case MTF_INPUT_REVOKE:
        return on_revoke(stage, input->partition, err);
    case MTF_INPUT_LOST:
        return on_lost(stage, input->partition, err);
    case MTF_INPUT_END:
        if (partition && !partition->pending) {
            if (partition->machine->replaying) mtf_partition_go_live(partition);
            /* Behind an open transaction there may be what keeps a session open. */
            partition->at_end = !input->pending;
        }
        return MTF_OK;
    }
    return MTF_OK;
}

/** A partition without a leader must not keep the others waiting behind it. */
static void put_last(mtf_sessionize *stage, uint32_t index)
{
    mtf_partition *partition = stage->partitions[index];
    const uint32_t behind = --stage->partition_count - index;
    memmove(stage->partitions + index, stage->partitions + index + 1,
            behind * sizeof(mtf_partition *));
    stage->partitions[stage->partition_count++] = partition;
}

/** A partition whose first and last offsets, or commit, the brokers do not tell. Most answer at the
 *  second asking; of what lasts the log tells now and then. */
static void wait_for_answer(mtf_sessionize *stage, const mtf_partition *partition,
                            const mtf_err *why)
{
    stage->start_due_ms = stage->now_ms + ASK_AGAIN_MS;
    if (stage->unanswered_since_ms == 0)
        stage->unanswered_since_ms = stage->unanswered_told_ms = stage->now_ms;
    if (stage->now_ms - stage->unanswered_told_ms < TELL_UNANSWERED_MS) return;
    stage->unanswered_told_ms = stage->now_ms;
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.wait",
                 "partition=%" PRId32 " waited_ms=%" PRId64 " reason=\"%s\"", partition->id,
                 stage->now_ms - stage->unanswered_since_ms, why->msg);
}

/** Starts what is pending, unless it is too soon after an abort or a question without an answer:
 *  the others go on meanwhile. err is not NULL. */
static mtf_status start_pending(mtf_sessionize *stage, mtf_err *err)
{
    if (stage->now_ms < stage->start_due_ms) return MTF_OK;
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        if (!stage->partitions[i]->pending) continue;
        const mtf_status status = mtf_partition_start(stage->partitions[i], err);
        if (status == MTF_AGAIN) {
            wait_for_answer(stage, stage->partitions[i], err);
            put_last(stage, i);
            return MTF_OK;
        }
        if (status != MTF_OK) return status;
    }
    stage->unanswered_since_ms = 0;
    return MTF_OK;
}

/** An assignment has been told: what it did not name again is another member's. Without one (there
 *  may be none for us) it ends by time. */
static void end_assignment(mtf_sessionize *stage, bool assigned)
{
    if (stage->assigning && !assigned) mtf_stage_drop_parked(stage, INT64_MAX);
    stage->assigning = assigned;
    mtf_stage_drop_parked(stage, stage->now_ms - PARKED_MS_MAX);
}

/** The metadata has no room for a jump: what it would have closed waits for records. */
static void refuse_jump(mtf_partition *partition)
{
    mtf_sessionize *stage = partition->stage;
    mtf_counter_add(&stage->counters.values[MTF_SESSIONIZE_JUMPS_REFUSED], 1);
    if (!mtf_stage_may_tell(stage, &stage->refused_told_ms)) return;
    mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.jump_refused",
                 "partition=%" PRId32 " jumps=%d reason=\"the commit has no room for another move "
                 "of a quiet partition's watermark; its sessions close when records come, or all "
                 "at once\"",
                 partition->id, MTF_JUMPS_MAX);
}

static mtf_status jump(mtf_partition *partition, int64_t watermark_ms, mtf_err *err)
{
    mtf_sessionize *stage = partition->stage;
    if (!mtf_machine_can_jump(partition->machine, watermark_ms)) {
        refuse_jump(partition);
        return MTF_OK;
    }
    stage->tally[MTF_SESSIONIZE_JUMPS]++;
    partition->dirty = true;
    return mtf_machine_jump(partition->machine, watermark_ms, err);
}

/** Rule 6: a partition that is quiet at its end moves its watermark by the time that passed; only
 *  where that closes something, since nothing else would show. */
static mtf_status jump_idle(mtf_sessionize *stage, mtf_err *err)
{
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        mtf_partition *partition = stage->partitions[i];
        const int64_t quiet_ms = stage->now_ms - partition->quiet_since_ms;
        if (!mtf_partition_is_live(partition) || !partition->at_end ||
            stage->config.idle_timeout_ms == 0 || quiet_ms < stage->config.idle_timeout_ms)
            continue;
        const int64_t watermark_ms = partition->quiet_watermark_ms + quiet_ms;
        if (mtf_machine_due_ms(partition->machine) > watermark_ms) continue;
        const mtf_status status = jump(partition, watermark_ms, err);
        if (status != MTF_OK) return status;
    }
    return MTF_OK;
}

static void show_partitions(const mtf_sessionize *stage, mtf_board *board)
{
    mtf_board_begin(board);
    for (uint32_t i = 0; i < stage->partition_count; i++) {
        const mtf_partition *partition = stage->partitions[i];
        const mtf_machine *machine = partition->machine;
        const bool known = machine && machine->watermark_ms != MTF_WATERMARK_NONE;
        mtf_board_put(board, (mtf_board_row){.partition = partition->id,
                                             .recovering = !mtf_partition_is_live(partition),
                                             .next_offset = machine ? machine->next_offset
                                                                    : partition->committed_offset,
                                             .watermark_ms = known ? machine->watermark_ms
                                                                   : MTF_BOARD_NO_WATERMARK});
    }
    mtf_board_end(board);
}

/** Idle jumps and a commit, when it is time. */
static mtf_status tick(mtf_sessionize *stage, mtf_err *err)
{
    if (stage->config.board) mtf_board_beat(stage->config.board, stage->now_ms);
    if (stage->now_ms < stage->commit_due_ms) return MTF_OK;
    if (stage->config.board) show_partitions(stage, stage->config.board);
    stage->commit_due_ms = stage->now_ms + stage->config.commit_interval_ms;
    mtf_err why = {0};
    const mtf_status status = jump_idle(stage, &why);
    return status == MTF_OK ? mtf_sessionize_commit(stage, err)
                            : mtf_stage_settle(stage, status, &why, err);
}

/** Stops the source while the sink's queue is nearly full, and goes on polling it: a member that
 *  does not poll loses its partitions. */
static mtf_status hold_back(mtf_sessionize *stage, mtf_err *err)
{
    mtf_source *source = stage->source;
    if (!stage->sink->fill || !source->pause) return MTF_OK;
    const double fill = stage->sink->fill(stage->sink->self);
    const bool paused = fill > (stage->paused ? RESUME_FILL : PAUSE_FILL);
    if (paused == stage->paused) return MTF_OK;
    const mtf_status status = source->pause(source->self, paused, err);
    if (status != MTF_OK) return status;
    stage->paused = paused;
    mtf_log_line(stage->config.log, MTF_LOG_INFO, paused ? "sessionize.pause" : "sessionize.resume",
                 "sink_fill=%.2f", fill);
    return MTF_OK;
}

mtf_status mtf_sessionize_step(mtf_sessionize *stage, int timeout_ms, mtf_err *err)
{
    mtf_source *source = stage->source;
    mtf_input input;
    mtf_err why = {0};
    mtf_status status = hold_back(stage, &why);
    if (status != MTF_OK) {
        if (err) *err = why;
        return status;
    }
    input.next_key = (mtf_span){0}; /* few sources know it */
    const mtf_status polled = source->poll(source->self, timeout_ms, &input, &why);
    read_clock(stage);
    end_assignment(stage, polled == MTF_OK && input.kind == MTF_INPUT_ASSIGN);
    if (polled == MTF_OK) {
        status = on_input(stage, &input, &why);
        status = mtf_stage_settle(stage, status, &why, &why);
    } else if (polled != MTF_AGAIN) {
        status = polled;
    }
    if (status == MTF_OK) status = tick(stage, &why);
    if (status == MTF_AGAIN) status = MTF_OK; /* the unit was given up: read again */
    /* A partition that is going away is told in a row, before anything is started in vain. */
    const bool leaving =
        polled == MTF_OK && (input.kind == MTF_INPUT_LOST || input.kind == MTF_INPUT_REVOKE);
    if (status == MTF_OK && !leaving) status = start_pending(stage, &why);
    if (status != MTF_OK && err) *err = why;
    return status;
}

/** The end of a drained source: everything read is committed, and closed if so configured. */
static mtf_status finish(mtf_sessionize *stage, mtf_err *err)
{
    mtf_status status = MTF_OK;
    mtf_err why = {0};
    for (uint32_t i = 0; i < stage->partition_count && status == MTF_OK; i++) {
        mtf_partition *partition = stage->partitions[i];
        if (partition->pending) continue;
        if (partition->machine->replaying) mtf_partition_go_live(partition);
        if (!stage->config.close_at_end) continue;
        const int64_t done_ms = mtf_machine_done_ms(partition->machine);
        if (done_ms != MTF_WATERMARK_NONE) status = jump(partition, done_ms, &why);
    }
    return status == MTF_OK ? mtf_sessionize_commit(stage, err)
                            : mtf_stage_settle(stage, status, &why, err);
}

static void abandon(mtf_sessionize *stage)
{
    if (stage->begun && stage->sink->abort(stage->sink->self, NULL) != MTF_OK)
        mtf_log_line(stage->config.log, MTF_LOG_WARN, "sessionize.abort",
                     "reason=\"and the abort failed too\"");
    stage->begun = false;
}

mtf_status mtf_sessionize_run(mtf_sessionize *stage, const atomic_bool *stop, mtf_err *err)
{
    mtf_status status = MTF_OK;
    int tries = 0;
    while (status == MTF_OK && !atomic_load(stop)) {
        status = mtf_sessionize_step(stage, POLL_MS, err);
        if (status != MTF_CLOSED) continue;
        status = finish(stage, err);
        if (status == MTF_OK) return MTF_OK;
        if (status == MTF_AGAIN && ++tries < LAST_COMMIT_TRIES) status = start_pending(stage, err);
    }
    if (status == MTF_OK) {
        status = mtf_sessionize_commit(stage, err);
        if (status == MTF_AGAIN) return MTF_OK; /* told in the log; the next start reads it again */
    }
    if (status != MTF_OK) abandon(stage);
    return status;
}
