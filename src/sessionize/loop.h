/** The sessionize stage: exploration events from a source, sessions, late records and dead letters
 *  to a sink, one unit per commit interval, its positions carrying what recovery needs. One thread.
 *
 *  A partition:
 *
 *     ASSIGN --> pending --(range, metadata)--> replaying [S, L) --> live --> LOST: dropped
 *      ^  |         ^                               silent            |
 *      |  |         +-- a unit was given up: from what the group now holds as committed
 *      |  +-- the same commit, state kept: on it goes --------------> | --> REVOKE: commit
 *      +------------------------ parked <----------------------------------------+
 *
 *  There is one path of recovery: drop the state, ask for the committed pair (offset, metadata),
 *  start at its S, run the same machine silently to its L. It runs in the poll loop, so the stage
 *  keeps polling. A unit that is given up is answered at once the first time, and after a rising
 *  pause while no commit comes between. The stage pauses its source while the sink's queue is
 *  nearly full.
 *
 *  State of a revoked partition is parked until the assignment that follows was told; one that
 *  comes back under the same pair goes on without a replay. Pairs only move forward, so an equal
 *  one means that nobody read on meanwhile. */
#ifndef MTF_SESSIONIZE_LOOP_H
#define MTF_SESSIONIZE_LOOP_H

#include <stdatomic.h>

#include "core/board.h"
#include "core/codec.h"
#include "core/log.h"
#include "core/pipe.h"
#include "core/settings.h"
#include "sessionize/counters.h"
#include "sessionize/machine.h"

/** All text is borrowed for the stage's life. */
typedef struct mtf_sessionize_config {
    mtf_machine_config machine;
    const char *aggregators; /* setting sessionize.aggregators */
    const char *decoder;     /* names the decoder, its version and what it checks against */
    const char *sessions_topic, *late_topic, *dead_letter_topic;
    int64_t idle_timeout_ms; /* 0: never */
    int64_t commit_interval_ms;
    /** Dead letters in a row, counted by partition and over restarts, at which the stage stops, the
     *  last of them not put out; 0: never. */
    int64_t errors_max_consecutive;
    bool accept_function; /* start clean where the commit was made under other settings */
    bool keys_are_users;  /* a record's key is its user id: count and tell of those that are not */
    bool close_at_end;    /* a drained finite source closes what is open */
    const mtf_log *log;   /* may be NULL */
    mtf_board *board;     /* may be NULL: nobody looks */
    /** Monotonic ms for intervals; NULL: the machine's clock. Never decides about data but by the
     *  recorded idle jumps. */
    int64_t (*now_ms)(void *arg);
    void *now_arg;
} mtf_sessionize_config;

/** The settings' part; decoder, the flags, log and clock are the caller's to add. */
mtf_sessionize_config mtf_sessionize_config_of(const mtf_settings *settings);

/** What commits of this configuration are made under (mtf_machine_function). MTF_INVALID: its
 *  aggregators. */
mtf_status mtf_sessionize_function(const mtf_sessionize_config *config, uint64_t *function,
                                   mtf_err *err) MTF_NODISCARD;

typedef struct mtf_sessionize mtf_sessionize;

/** Borrows all of them; closes none. MTF_INVALID: a bad aggregator. */
mtf_status mtf_sessionize_open(const mtf_sessionize_config *config, mtf_source *source,
                               mtf_sink *sink, const mtf_event_decoder *decoder,
                               mtf_session_encode_fn encode, mtf_sessionize **stage,
                               mtf_err *err) MTF_NODISCARD;
/** Drops what is open and uncommitted, and what is parked. */
void mtf_sessionize_close(mtf_sessionize *stage);

/** Steps until *stop, or until a finite source is drained; then commits. Open sessions stay open,
 *  to be rebuilt from the log, unless a drained source has close_at_end.
 *  MTF_OK; MTF_INVALID: the commit is of other settings, of a schema that is gone, or not ours;
 *  MTF_CORRUPT: the position is not in the log, or too many bad records in a row; else what source
 *  or sink returned. After a failure nothing since the last commit counts. */
mtf_status mtf_sessionize_run(mtf_sessionize *stage, const atomic_bool *stop,
                              mtf_err *err) MTF_NODISCARD;
/** One poll and what follows from it, a commit when it is due. MTF_CLOSED: drained. */
mtf_status mtf_sessionize_step(mtf_sessionize *stage, int timeout_ms, mtf_err *err) MTF_NODISCARD;
/** Commits now, if anything changed. MTF_AGAIN: it was given up and will be read again. */
mtf_status mtf_sessionize_commit(mtf_sessionize *stage, mtf_err *err) MTF_NODISCARD;

/** Valid until close; other threads may read it. */
const mtf_sessionize_counters *mtf_sessionize_count(const mtf_sessionize *stage);

#endif
