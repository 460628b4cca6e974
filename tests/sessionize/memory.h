/** A broker in memory: a source with partitions, retention and a group's commits, and a sink whose
 *  units are atomic, as a transactional one's are. Faults are asked for by counters. Records hold a
 *  struct sample's bytes, or '#', a schema's letter and those; any other bytes do not decode.
 * Sessions are encoded as stream.c's lines.
 */
#ifndef TESTS_SESSIONIZE_MEMORY_H
#define TESTS_SESSIONIZE_MEMORY_H

#include "core/codec.h"
#include "core/pipe.h"
#include "stream.h"

#define MEMORY_PARTITIONS 3

struct memory_record {
    uint8_t *data;
    size_t size;
    int64_t timestamp_ms;
};

struct memory_partition {
    struct memory_record *log;
    int64_t first, end; /* kept: [first, end) */
    int64_t committed;  /* -1: never */
    char metadata[4097];
    bool assigned, started, told_end;
    bool silent; /* range answers MTF_AGAIN: no leader */
    int64_t next;
};

struct memory {
    struct memory_partition partitions[MEMORY_PARTITIONS];
    mtf_input control[16]; /* handed out before messages */
    int control_count;
    bool finite;       /* MTF_CLOSED when drained */
    bool jump_to_kept; /* start below the log's first offset goes on at it, silently */
    int range_again;   /* so many calls of range answer MTF_AGAIN */
    int committed_again;
    const char *schemas; /* those that are known, a letter each; NULL: none */
    const char *key;     /* of all messages, may be NULL */
    bool end_pending;    /* ends are those of a transaction that is still open */
    int64_t poll_count;
    bool paused; /* no messages are handed out */
    double fill; /* of the sink's queue */

    mtf_buf out;  /* committed: "<topic> <key> [reason: words] <value>" a line */
    mtf_buf unit; /* put since begin */
    bool begun;
    int64_t puts, commits, aborts;
    int64_t fail_put;    /* > 0: the so-manieth put from now answers fail_status */
    int64_t fail_commit; /* the same of commits */
    bool fail_applied;   /* the commit that fails has gone through all the same */
    mtf_status fail_status;
    mtf_source source;
    mtf_sink sink;
};

/** Initialises; value_bytes_max 100000. */
void memory_init(struct memory *memory);
void memory_fini(struct memory *memory);
/** Of the schemas that the memory names when it is asked. */
mtf_event_decoder memory_decoder(struct memory *memory);
mtf_status memory_encode(const mtf_session *session, mtf_buf *out, mtf_err *err);

void memory_append(struct memory *memory, int partition, const void *data, size_t size,
                   int64_t timestamp_ms);
/** A sample, or for a bad one its id as bytes. */
void memory_append_sample(struct memory *memory, int partition, const struct sample *sample);
/** A good sample that is written by a schema of its own. */
void memory_append_by(struct memory *memory, int partition, char schema,
                      const struct sample *sample);
/** Retention: [.., first) leaves the log. */
void memory_trim(struct memory *memory, int partition, int64_t first);
/** Queues a control input; ASSIGN carries the group's commit. */
void memory_control(struct memory *memory, mtf_input_kind kind, int partition);
/** The process died: nothing is assigned, an open unit is gone. */
void memory_crash(struct memory *memory);
/** The committed output so far, NUL-terminated. */
const char *memory_out(struct memory *memory);

#endif
