/** Inside of the stage: its struct and its partitions. Private to loop.c, park.c,
 *  take.c, unit.c, restore.c and output.c.
 */
#ifndef MTF_SESSIONIZE_STAGE_H
#define MTF_SESSIONIZE_STAGE_H

#include "sessionize/emit.h"
#include "sessionize/loop.h"

typedef struct mtf_partition {
    mtf_sessionize *stage;
    int32_t id;
    mtf_machine *machine;       /* NULL: to be rebuilt from the last commit */
    bool pending;               /* not started: nothing flows yet */
    bool unsure;                /* a unit was given up: ask what the last commit is */
    bool fed;                   /* a record came since it was started */
    bool dirty;                 /* live, and its position is not the committed one */
    bool at_end;                /* nothing was behind its last record */
    int64_t quiet_since_ms;     /* stage clock at the last record, or when it went live */
    int64_t quiet_watermark_ms; /* W then */
    int64_t held, open;         /* its share of the gauges HELD and OPEN */
    int64_t committed_offset;   /* -1: never */
    char committed[MTF_METADATA_BYTES_MAX + 1];
    char next[MTF_METADATA_BYTES_MAX + 1]; /* being committed */
    int64_t parked_ms;                     /* stage clock when it was revoked */
    struct mtf_partition *parked_next;
} mtf_partition;

struct mtf_sessionize {
    mtf_sessionize_config config;
    mtf_source *source;
    mtf_sink *sink;
    mtf_event_decoder decoder;
    mtf_session_encode_fn encode;
    mtf_aggregators aggregators;
    uint64_t function;
    char topic[256]; /* of the input, from its messages */

    mtf_partition **partitions;
    mtf_position *positions; /* room for all of them */
    uint32_t partition_count, partition_capacity;

    mtf_partition *parked; /* revoked; see park.c */
    bool assigning;        /* the last input was ASSIGN */

    bool begun;  /* a unit is open in the sink */
    bool paused; /* the source is, until the sink has room */
    int64_t now_ms, commit_due_ms;
    int64_t start_due_ms;                   /* pending partitions wait for it */
    int64_t unanswered_since_ms;            /* a pending one has no answer; 0: none */
    int64_t unanswered_told_ms;             /* when the log last told of that */
    int64_t aborts_in_a_row;                /* no commit between */
    int64_t refused_told_ms, stray_told_ms; /* when the log last told of it, 0: never */
    int64_t tally[MTF_SESSIONIZE_COUNTERS]; /* of the open unit; folded into counters by commit */
    mtf_sessionize_counters counters;

    const mtf_machine *expected; /* of the record that comes next, NULL: not known */
    uint64_t expected_hash;      /* of its key, which is its user's id as a rule */

    mtf_keeper keeper; /* what is open, of all partitions */
    mtf_arena decoded; /* the event at hand */
    mtf_arena emitted; /* the sessions at hand */
    mtf_buf scratch;   /* an encoded session */
};

/** Whether to tell the log of something that may come with every record: once a minute. */
static inline bool mtf_stage_may_tell(const mtf_sessionize *stage, int64_t *told_ms)
{
    if (*told_ms && stage->now_ms - *told_ms < 60000) return false;
    *told_ms = stage->now_ms;
    return true;
}

static inline bool mtf_partition_is_live(const mtf_partition *partition)
{
    return partition->machine && !partition->pending && !partition->machine->replaying;
}

/** loop.c: NULL when it is not ours. */
mtf_partition *mtf_stage_find(const mtf_sessionize *stage, int32_t id);

/** park.c: keeps a partition that was revoked, its state being that of its last commit; it is no
 *  longer the stage's. Frees it if it has no state. */
void mtf_stage_park(mtf_sessionize *stage, mtf_partition *partition);
/** park.c: the partition kept for an ASSIGN, pending again, if the group's commit is still the one
 *  its state is of. Else NULL, and nothing is kept of it. */
mtf_partition *mtf_stage_unpark(mtf_sessionize *stage, const mtf_input *input);
/** park.c: drops what was revoked before `before_ms`. */
void mtf_stage_drop_parked(mtf_sessionize *stage, int64_t before_ms);

/** take.c: one record. MTF_AGAIN: the sink wants the unit given up. */
mtf_status mtf_stage_take(mtf_sessionize *stage, const mtf_input *input,
                          mtf_err *err) MTF_NODISCARD;

/** unit.c: whether nothing happened since the last commit. */
bool mtf_stage_is_clean(const mtf_sessionize *stage);
/** unit.c: gives up everything since the last commit; every partition is read again from there. */
mtf_status mtf_stage_give_up(mtf_sessionize *stage, const mtf_err *why, mtf_err *err) MTF_NODISCARD;
/** unit.c: what a status of the sink comes to: MTF_AGAIN gives the unit up and stays MTF_AGAIN,
 *  anything else is passed on with its words. */
mtf_status mtf_stage_settle(mtf_sessionize *stage, mtf_status status, const mtf_err *why,
                            mtf_err *err) MTF_NODISCARD;

/** restore.c: starts a pending partition: with the state it kept, or from its last commit.
 *  MTF_AGAIN: the source has no answer yet, it stays pending. */
mtf_status mtf_partition_start(mtf_partition *partition, mtf_err *err) MTF_NODISCARD;
/** restore.c: ends a partition's replay. */
void mtf_partition_go_live(mtf_partition *partition);
/** restore.c: forgets what a partition knows; it may be started again. */
void mtf_partition_drop(mtf_partition *partition);

/** output.c: opens a unit unless one is open. */
mtf_status mtf_stage_begin(mtf_sessionize *stage, mtf_err *err) MTF_NODISCARD;
/** output.c: for mtf_machine_output; self is the partition. */
mtf_status mtf_partition_closed(void *self, const mtf_activity *activity, int64_t headless_ms,
                                mtf_err *err);
/** output.c: a record to the late or the dead-letter topic, counted. The key falls back on the
 *  user. */
mtf_status mtf_stage_late(mtf_sessionize *stage, mtf_sessionize_counter counter,
                          const mtf_message *message, mtf_str user, mtf_err *err) MTF_NODISCARD;
mtf_status mtf_stage_dead(mtf_sessionize *stage, mtf_sessionize_counter counter,
                          const mtf_message *message, const char *at, const char *words,
                          mtf_err *err) MTF_NODISCARD;

#endif
