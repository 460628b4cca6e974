#include "ingest/kafka_rebalance.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"

enum {
    POSITIONS_MS_MIN = 500, /* just after a commit the answer takes 100 ms and more */
    COMMIT_MS_MAX = 15000,  /* a commit is tried again for so long while the coordinator moves */
    SLICE_MS = 500,         /* between two looks at whoever waits */
    METADATA_BYTES_MAX = 4096,
    ASSIGN_GAP_MS = 50, /* between two assignments; a partition takes a few ms to stop */
};

static mtf_status grow(mtf_kafka_source *source, int32_t count, mtf_err *err)
{
    if (count <= source->part_count) return MTF_OK;
    mtf_kafka_part *parts = realloc(source->parts, (size_t)count * sizeof *parts);
    if (!parts) return mtf_fail(err, MTF_NOMEM, "kafka source: out of memory");
    memset(parts + source->part_count, 0, (size_t)(count - source->part_count) * sizeof *parts);
    source->parts = parts;
    source->part_count = count;
    return MTF_OK;
}

/** What the stage believes to own: a revoke is of all of it. */
static rd_kafka_topic_partition_list_t *list_ours(const mtf_kafka_source *source)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(source->part_count);
    for (int32_t i = 0; i < source->part_count; i++)
        if (source->parts[i].ours) rd_kafka_topic_partition_list_add(list, source->topic, i);
    return list;
}

static void take_membership(mtf_kafka_source *source)
{
    if (source->membership) rd_kafka_consumer_group_metadata_destroy(source->membership);
    source->membership = rd_kafka_consumer_group_metadata(source->handle.rk);
}

rd_kafka_resp_err_t mtf_kafka_assign(mtf_kafka_source *source,
                                     const rd_kafka_topic_partition_list_t *list)
{
    const int64_t wait_ns =
        source->assigned_ns + (int64_t)ASSIGN_GAP_MS * 1000000 - mtf_clock_mono_ns();
    if (source->assigned_ns && wait_ns > 0) nanosleep(&(struct timespec){.tv_nsec = wait_ns}, NULL);
    const rd_kafka_resp_err_t code = rd_kafka_assign(source->handle.rk, list);
    source->assigned_ns = mtf_clock_mono_ns();
    return code;
}

/** Inside rd_kafka_consumer_poll, or rd_kafka_consumer_close. */
void mtf_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                            rd_kafka_topic_partition_list_t *list, void *opaque)
{
    mtf_kafka_source *source = ((mtf_kafka_handle *)opaque)->owner;
    const bool assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    const bool lost = !assign && rd_kafka_assignment_lost(rk);
    mtf_log_line(source->handle.log, MTF_LOG_INFO, "kafka.rebalance",
                 "topic=%s event=%s partitions=%d", source->topic,
                 assign ? "assign"
                 : lost ? "lost"
                        : "revoke",
                 list->cnt);
    if (source->closing) {
        /* Close takes back by itself what was assigned and not answered; an answer to that may
         * never return (librdkafka #4884). */
        if (!assign) mtf_kafka_assign(source, NULL);
        return;
    }
    if (assign) {
        MTF_ASSERT(source->step == MTF_KAFKA_NONE); /* eager: none before the last was answered */
        take_membership(source);
    }
    if (source->change) rd_kafka_topic_partition_list_destroy(source->change);
    source->change = assign ? rd_kafka_topic_partition_list_copy(list) : list_ours(source);
    source->told = 0;
    source->step = assign ? MTF_KAFKA_POSITIONS : lost ? MTF_KAFKA_LOST : MTF_KAFKA_REVOKE;
    rd_kafka_yield(rk); /* nothing more out of this poll */
}

/** Fills the change with committed offsets and metadata. While a transaction of the last owner is
 *  pending, the brokers keep the answer back and the call times out: the next poll asks again. */
static mtf_status fetch_positions(mtf_kafka_source *source, int timeout_ms, mtf_err *err)
{
    int32_t count = source->part_count;
    for (int i = 0; i < source->change->cnt; i++) {
        if (source->change->elems[i].partition >= count)
            count = source->change->elems[i].partition + 1;
    }
    const mtf_status status = grow(source, count, err);
    if (status || source->change->cnt == 0) return status;
    rd_kafka_resp_err_t code =
        rd_kafka_committed(source->handle.rk, source->change,
                           timeout_ms < POSITIONS_MS_MIN ? POSITIONS_MS_MIN : timeout_ms);
    for (int i = 0; i < source->change->cnt && !code; i++) code = source->change->elems[i].err;
    if (!code) return MTF_OK;
    mtf_log_line(source->handle.log, MTF_LOG_INFO, "kafka.positions",
                 "topic=%s retry=true reason=\"%s\"", source->topic, rd_kafka_err2str(code));
    /* Stay a member that polls. Nothing is assigned, so this yields at most a revoke or an error,
     * of which a fatal one stays. */
    rd_kafka_message_t *message = rd_kafka_consumer_poll(source->handle.rk, 0);
    if (message) rd_kafka_message_destroy(message);
    return mtf_kafka_fail(&source->handle, code, err, "committed offsets of %s", source->topic);
}

/** An answer of the brokers. Metadata too long to be ours is cut: whoever reads it refuses it. */
static void read_position(const rd_kafka_topic_partition_t *elem, int64_t *offset, char *metadata)
{
    const size_t size =
        elem->metadata_size < METADATA_BYTES_MAX ? elem->metadata_size : METADATA_BYTES_MAX;
    *offset = elem->offset >= 0 ? elem->offset : -1;
    if (elem->metadata) memcpy(metadata, elem->metadata, size);
    metadata[elem->metadata ? size : 0] = '\0';
}

mtf_status mtf_kafka_committed(mtf_kafka_source *source, int32_t partition, int64_t *offset,
                               char *metadata, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    const rd_kafka_topic_partition_t *elem =
        rd_kafka_topic_partition_list_add(list, source->topic, partition);
    rd_kafka_resp_err_t code = rd_kafka_committed(source->handle.rk, list, POSITIONS_MS_MIN);
    if (!code) code = elem->err;
    if (!code) read_position(elem, offset, metadata);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? mtf_kafka_fail(&source->handle, code, err, "committed offset of %s/%d",
                                 source->topic, partition)
                : MTF_OK;
}

/** The next partition of the change as an input. */
static void tell(mtf_kafka_source *source, mtf_input *input)
{
    const rd_kafka_topic_partition_t *elem = &source->change->elems[source->told++];
    const bool assign = source->step == MTF_KAFKA_ASSIGN;
    input->kind = assign                             ? MTF_INPUT_ASSIGN
                  : source->step == MTF_KAFKA_REVOKE ? MTF_INPUT_REVOKE
                                                     : MTF_INPUT_LOST;
    input->partition = elem->partition;
    input->committed_offset = -1;
    input->metadata[0] = '\0';
    source->parts[elem->partition] = (mtf_kafka_part){.ours = assign};
    mtf_counter_add(&source->counts.partitions, assign ? 1 : -1);
    if (assign) read_position(elem, &input->committed_offset, input->metadata);
}

/** The stage was told all of the change. */
static mtf_status end_change(mtf_kafka_source *source, mtf_err *err)
{
    const bool assign = source->step == MTF_KAFKA_ASSIGN;
    source->held = source->stale = assign;
    if (assign) mtf_counter_add(&source->counts.rebalances, 1);
    rd_kafka_topic_partition_list_destroy(source->change);
    source->change = NULL;
    source->step = MTF_KAFKA_NONE;
    const rd_kafka_resp_err_t code =
        assign ? RD_KAFKA_RESP_ERR_NO_ERROR : mtf_kafka_assign(source, NULL);
    return code ? mtf_kafka_fail(&source->handle, code, err, "unassign %s", source->topic) : MTF_OK;
}

mtf_status mtf_kafka_rebalance(mtf_kafka_source *source, int timeout_ms, mtf_input *input,
                               mtf_err *err)
{
    if (source->step == MTF_KAFKA_NONE) return MTF_CLOSED;
    if (source->step == MTF_KAFKA_POSITIONS) {
        const mtf_status status = fetch_positions(source, timeout_ms, err);
        if (status) return status;
        source->step = MTF_KAFKA_ASSIGN;
    }
    if (source->told < source->change->cnt) {
        tell(source, input);
        return MTF_OK;
    }
    const mtf_status status = end_change(source, err);
    return status ? status : MTF_CLOSED;
}

mtf_status mtf_kafka_take(mtf_kafka_source *source, int32_t count, mtf_err *err)
{
    const int32_t first = source->part_count;
    if (count <= first) return MTF_OK;
    const mtf_status status = grow(source, count, err);
    if (status) return status;
    source->change = rd_kafka_topic_partition_list_new(count - first);
    for (int32_t i = first; i < count; i++) {
        rd_kafka_topic_partition_list_add(source->change, source->topic, i)->offset = -1;
    }
    source->told = 0;
    source->step = MTF_KAFKA_ASSIGN;
    return MTF_OK;
}

mtf_status mtf_kafka_apply(mtf_kafka_source *source, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(source->part_count);
    for (int32_t i = 0; i < source->part_count && !source->paused; i++) {
        if (!source->parts[i].started) continue;
        rd_kafka_topic_partition_list_add(list, source->topic, i)->offset = source->parts[i].next;
    }
    const rd_kafka_resp_err_t code = mtf_kafka_assign(source, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (code) return mtf_kafka_fail(&source->handle, code, err, "assign %s", source->topic);
    source->stale = false;
    return MTF_OK;
}

/** Checks a position's metadata: 2.0.2 garbles NUL bytes (#4649), brokers drop the connection on
 * texts far above their limit and the commit then seems to succeed. */
static mtf_status check_metadata(const char *metadata, mtf_err *err)
{
    const size_t size = strlen(metadata);
    if (size > METADATA_BYTES_MAX) {
        return mtf_fail(err, MTF_INVALID, "position metadata of %zu bytes; Kafka takes %d", size,
                        METADATA_BYTES_MAX);
    }
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)metadata[i] > 127)
            return mtf_fail(err, MTF_INVALID, "position metadata is not ASCII");
    }
    return MTF_OK;
}

mtf_status mtf_kafka_positions(mtf_kafka_source *source, const mtf_position *positions,
                               size_t count, rd_kafka_topic_partition_list_t **list, mtf_err *err)
{
    mtf_status status = MTF_OK;
    *list = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count && !status; i++) {
        const mtf_position *position = &positions[i];
        MTF_ASSERT(position->offset >= 0);
        rd_kafka_topic_partition_t *elem =
            rd_kafka_topic_partition_list_add(*list, source->topic, position->partition);
        elem->offset = position->offset;
        if (!position->metadata) continue;
        status = check_metadata(position->metadata, err);
        if (status) break;
        elem->metadata_size = strlen(position->metadata);
        elem->metadata = strdup(position->metadata); /* the list frees it */
        if (!elem->metadata) status = mtf_fail(err, MTF_NOMEM, "kafka commit: out of memory");
    }
    if (status) {
        rd_kafka_topic_partition_list_destroy(*list);
        *list = NULL;
    }
    return status;
}

/** Whether the same commit may succeed a moment later: the coordinator moves or starts. */
static bool passes(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__WAIT_COORD ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT ||
           code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

/** One commit. False: given up before its answer. */
static bool commit_once(mtf_kafka_source *source, const rd_kafka_topic_partition_list_t *list,
                        mtf_kafka_wait_fn wait, void *arg, int64_t *stopped_ns,
                        rd_kafka_resp_err_t *code)
{
    bool goes_on = true;
    rd_kafka_event_t *event = NULL;
    rd_kafka_queue_t *answers = rd_kafka_queue_new(source->handle.rk);
    *code = rd_kafka_commit_queue(source->handle.rk, list, answers, NULL, NULL);
    while (!*code && !event && goes_on) {
        event = rd_kafka_queue_poll(answers, SLICE_MS);
        goes_on = wait(arg, stopped_ns);
    }
    if (event) {
        const rd_kafka_topic_partition_list_t *done = rd_kafka_event_topic_partition_list(event);
        *code = rd_kafka_event_error(event);
        for (int i = 0; done && i < done->cnt && !*code; i++) *code = done->elems[i].err;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(answers);
    return event || *code || goes_on;
}

mtf_status mtf_kafka_commit(mtf_kafka_source *source, const mtf_position *positions, size_t count,
                            mtf_kafka_wait_fn wait, void *arg, mtf_err *err)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    if (count == 0) return MTF_OK;
    const mtf_status status = mtf_kafka_positions(source, positions, count, &list, err);
    if (status) return status;
    const int64_t started_ns = mtf_clock_mono_ns();
    int64_t stopped_ns = 0;
    rd_kafka_resp_err_t code;
    bool answered;
    do {
        answered = commit_once(source, list, wait, arg, &stopped_ns, &code);
    } while (answered && passes(code) && wait(arg, &stopped_ns) &&
             mtf_clock_mono_ns() - started_ns < (int64_t)COMMIT_MS_MAX * 1000000);
    rd_kafka_topic_partition_list_destroy(list);
    if (!answered)
        return mtf_fail(err, MTF_AGAIN, "commit positions of %s: stopped before the answer",
                        source->topic);
    if (code)
        return mtf_kafka_fail(&source->handle, code, err, "commit positions of %s", source->topic);
    return MTF_OK;
}
