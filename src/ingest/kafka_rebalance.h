/** Inside of the Kafka source: its struct, and the steps of a rebalance. Private to kafka_*.c. */
#ifndef MTF_INGEST_KAFKA_REBALANCE_H
#define MTF_INGEST_KAFKA_REBALANCE_H

#include "core/pipe.h"
#include "ingest/kafka_common.h"
#include "ingest/kafka_source.h"

enum { MTF_KAFKA_BATCH = 128 };

/** One partition of the topic, at its id in source->parts. */
typedef struct mtf_kafka_part {
    bool ours;    /* told as ASSIGN, not yet as REVOKE or LOST */
    bool started; /* the stage let it flow */
    int64_t next; /* offset of the next message to hand out */
} mtf_kafka_part;

/** What has to be done about `change` before records flow again:
 *
 *    callback ASSIGN -> POSITIONS -> ASSIGN --(all told)--> NONE, assignment applied
 *    callback REVOKE -> REVOKE or LOST -----(all told)----> NONE, unassigned
 *
 *  A revoke may come while an assignment is still being told, when the group gives us up meanwhile:
 *  then what was told of it goes away, and the rest was never ours. */
typedef enum mtf_kafka_step {
    MTF_KAFKA_NONE,
    MTF_KAFKA_POSITIONS, /* committed offsets are to be fetched */
    MTF_KAFKA_ASSIGN,    /* ASSIGN inputs are being handed out */
    MTF_KAFKA_REVOKE,
    MTF_KAFKA_LOST,
} mtf_kafka_step;

/** The callback only notes what happened; everything is done in poll, on the stage's thread.
 *
 *  librdkafka is always told the whole truth in one way: rd_kafka_assign of every started partition
 *  at its next offset, or of none while paused. Starting, seeking, pausing and resuming only mark
 *  `stale`; the next poll applies it. So none of 2.0.2's seek and resume paths (#4208, #4230,
 * #4636, #4686) is ever taken. */
struct mtf_kafka_source {
    mtf_kafka_handle handle;
    char topic[250], group[250];
    bool grouped, count_gaps;
    int ask_ms; /* how long a partition's range is asked for */
    bool held;  /* we hold an assignment: rd_kafka_assign may be called */
    bool stale; /* librdkafka's assignment is not what parts and paused say */
    bool paused;
    bool closing; /* the callback must unassign by itself */
    mtf_kafka_part *parts;
    int32_t part_count;
    mtf_kafka_step step;
    rd_kafka_topic_partition_list_t *change; /* the partitions of the step, NULL at NONE */
    int told;                                /* how many of them the stage was told */
    /** The generation that gave us our partitions: under it a transaction's positions are sent, so
     *  that the brokers refuse them when it is over. That of now may be none, and from who claims
     * to be no member brokers may take positions. */
    rd_kafka_consumer_group_metadata_t *membership;
    int64_t assigned_ns;      /* when librdkafka was last told an assignment */
    int64_t widened_ns;       /* when the topic was last asked for new partitions */
    rd_kafka_queue_t *queue;  /* the consumer's */
    rd_kafka_message_t *lent; /* message of the last input, the stage's until the next poll */
    /** Taken from librdkafka together, of which [handed, taken) are still to come. Of the
     * assignment as it is: whatever changes that gives them up, and they are read again. */
    rd_kafka_message_t *batch[MTF_KAFKA_BATCH];
    size_t handed, taken;
    mtf_kafka_source_counts counts;
};

/** librdkafka's rebalance callback; opaque is the handle. */
void mtf_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                            rd_kafka_topic_partition_list_t *list, void *opaque);
/** Does what is due before records may flow. MTF_OK with *input; MTF_CLOSED: nothing is due (any
 * more); MTF_AGAIN: committed positions are not to be had yet. */
mtf_status mtf_kafka_rebalance(mtf_kafka_source *source, int timeout_ms, mtf_input *input,
                               mtf_err *err);
/** The group's committed offset (-1 for none) and metadata of one partition. MTF_AGAIN: the brokers
 *  do not say now, or a transaction that has them is still open. */
mtf_status mtf_kafka_committed(mtf_kafka_source *source, int32_t partition, int64_t *offset,
                               char *metadata, mtf_err *err);
/** Announces partitions first..count-1 of a source without a group. */
mtf_status mtf_kafka_take(mtf_kafka_source *source, int32_t count, mtf_err *err);
/** rd_kafka_assign of a list, or of nothing (NULL), a moment after the one before: partitions that
 *  are told to stop a second time before they have abort the process (librdkafka #5573, in every
 *  version up to 2.15.0). */
rd_kafka_resp_err_t mtf_kafka_assign(mtf_kafka_source *source,
                                     const rd_kafka_topic_partition_list_t *list);
/** Makes librdkafka's assignment what parts and paused say. */
mtf_status mtf_kafka_apply(mtf_kafka_source *source, mtf_err *err);

/** The positions as librdkafka wants them, checked (ours, ASCII, <= 4096 bytes); the caller
 * destroys the list. A transactional sink sends it with its transaction. */
mtf_status mtf_kafka_positions(mtf_kafka_source *source, const mtf_position *positions,
                               size_t count, rd_kafka_topic_partition_list_t **list, mtf_err *err);
/** Called every half second of waiting; *stopped_ns is 0 at first, and the callee's. False: give
 * up. */
typedef bool (*mtf_kafka_wait_fn)(void *arg, int64_t *stopped_ns);
/** Commits to the group and waits for the answer while `wait` says so. MTF_AGAIN: not committed,
 * the group moved on or the coordinator is away (or no answer yet: then nobody knows): give up what
 * was read since the last commit. MTF_FENCED, MTF_INVALID, MTF_BROKER: stop. */
mtf_status mtf_kafka_commit(mtf_kafka_source *source, const mtf_position *positions, size_t count,
                            mtf_kafka_wait_fn wait, void *arg, mtf_err *err);

#endif
