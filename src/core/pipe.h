/** How stages meet: a source of messages that may move partitions about, and a sink. Kafka, a file
 *  and tests each implement them; a stage knows only these. Single-threaded: one stage, one thread.
 */
#ifndef MTF_PIPE_H
#define MTF_PIPE_H

#include "core/bytes.h"

typedef struct mtf_header {
    mtf_str name;
    mtf_span value;
} mtf_header;

typedef struct mtf_message {
    mtf_str topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* the broker's append time (or the producer's, where allowed) */
    mtf_span key, value;  /* value.data NULL: a tombstone */
} mtf_message;

typedef enum mtf_input_kind {
    MTF_INPUT_MESSAGE, /* .message, borrowed until the next poll */
    MTF_INPUT_ASSIGN,  /* .partition now ours; nothing flows from it until start() is called */
    MTF_INPUT_REVOKE,  /* .partition goes away at the next poll: commit now */
    MTF_INPUT_LOST,    /* .partition is already someone else's: drop its state, commit nothing */
    MTF_INPUT_END,     /* .partition: caught up with its end (repeats at each new end) */
} mtf_input_kind;

typedef struct mtf_input {
    mtf_input_kind kind;
    int32_t partition;
    mtf_message message;
    int64_t committed_offset; /* ASSIGN: next offset by the group's commit, -1 for none */
    char metadata[4097];      /* ASSIGN: the commit's metadata, "" for none */
    bool pending; /* END: there is more behind it, of a transaction that is still open */
    /** MESSAGE, a hint: the partition and key of what will probably be polled next, borrowed as
     *  the message is; no key: not known. */
    int32_t next_partition;
    mtf_span next_key;
} mtf_input;

/** A position to commit: the next offset to read and what recovery needs, ASCII, <= 4096 bytes. */
typedef struct mtf_position {
    int32_t partition;
    int64_t offset;
    const char *metadata; /* may be NULL */
} mtf_position;

typedef struct mtf_source mtf_source;
struct mtf_source {
    void *self;
    /** MTF_OK with *input; MTF_AGAIN after timeout_ms; MTF_CLOSED when a finite source is drained
     *  (never Kafka); MTF_BROKER and MTF_FENCED as they say. */
    mtf_status (*poll)(void *self, int timeout_ms, mtf_input *input, mtf_err *err);
    /** Lets an assigned partition flow from `offset` (>= 0). Also a seek of a flowing one: the next
     *  message of the partition is the first at or past it. */
    mtf_status (*start)(void *self, int32_t partition, int64_t offset, mtf_err *err);
    /** First kept and end (next to be written) offsets of a partition. */
    mtf_status (*range)(void *self, int32_t partition, int64_t *first, int64_t *end, mtf_err *err);
    /** Stops or resumes delivery of all partitions (back-pressure); keep polling. */
    mtf_status (*pause)(void *self, bool paused, mtf_err *err);
    void (*close)(void *self);
    /** What ASSIGN said, asked for again: whoever gave a unit up, or heard nothing of its commit,
     *  starts where the group now stands, not where it remembers. metadata holds 4097 chars.
     *  MTF_AGAIN: no answer now. NULL: nobody else commits. */
    mtf_status (*committed)(void *self, int32_t partition, int64_t *offset, char *metadata,
                            mtf_err *err);
    /** Headers of the message handed out last, borrowed until the next poll: fills up to `capacity`
     *  and returns how many there are. NULL: the source has none. */
    size_t (*headers)(void *self, mtf_header *headers, size_t capacity);
};

/** Where a stage's output goes, with its input positions: one unit per begin..commit. At-least-once
 *  sinks flush and then commit the positions; a transactional one does both in one transaction. */
typedef struct mtf_sink mtf_sink;
struct mtf_sink {
    void *self;
    mtf_status (*begin)(void *self, mtf_err *err);
    /** Copies everything. timestamp_ms 0 = now. MTF_NOMEM with the size in words if the record can
     *  never be produced. */
    mtf_status (*put)(void *self, const char *topic, mtf_span key, mtf_span value,
                      const mtf_header *headers, size_t header_count, int64_t timestamp_ms,
                      mtf_err *err);
    /** Makes everything put since begin durable, together with the positions. */
    mtf_status (*commit)(void *self, const mtf_position *positions, size_t count, mtf_err *err);
    /** Gives up everything since begin (as far as the sink can). */
    mtf_status (*abort)(void *self, mtf_err *err);
    size_t value_bytes_max; /* the largest value put() takes */
    void (*close)(void *self);
    /** How full the sink's queue is, 0 to 1; NULL: it has none. Whoever feeds it should stop its
     *  source well below 1, where put() begins to wait. */
    double (*fill)(void *self);
};

/** begin and abort of a sink that has nothing to do then ... */
static inline mtf_status mtf_sink_no_unit(void *self, mtf_err *err)
{
    (void)self, (void)err;
    return MTF_OK;
}
/** ... and commit of one that had done everything in put. */
static inline mtf_status mtf_sink_no_commit(void *self, const mtf_position *positions, size_t count,
                                            mtf_err *err)
{
    (void)self, (void)positions, (void)count, (void)err;
    return MTF_OK;
}

#endif
