/** The learner's transitions, input positions and round state in RocksDB: what survives a crash.
 *
 *  Folder: <path>/db is RocksDB's, <path>/checkpoints the learner's files, <path>/lock its
 *  writer's (learner/store_lock.h). Column families:
 *  default = entries, the rows of a session and day (learner/transition.h); meta =
 *    "shape"             what the rows mean, as text; a mismatch at open is refused
 *    "d" u32 BE          how many rows a UTC day has, and the sum of their entries' hashes
 *    "p" u32 BE          a partition's next offset, its last record's offset and hash, and its bad
 *                        records in a row, if any
 *    "n" u64 BE u8       counts by policy version and bucket
 *    "c"                 counts of everything
 *    "b" name            small blobs: round state, reports
 *  Rows, positions and counts of a batch become durable together, in one synced write.
 *  One writer, one thread; a read-only store sees what was there when it was opened. */
#ifndef MTF_STORE_H
#define MTF_STORE_H

#include "learner/transition.h"

typedef struct mtf_store mtf_store;
typedef struct mtf_store_cursor mtf_store_cursor;

/** What rows mean; equal at every open of a store. Text is borrowed for the call. */
typedef struct mtf_store_identity {
    mtf_row_shape shape;
    const char *signals;    /* names in order (mtf_reward_names) */
    const char *actions;    /* the setting policy.actions */
    const char *policy;     /* the setting policy.name */
    const char *cluster_id; /* "" when the source is no Kafka cluster */
} mtf_store_identity;

/** Where reading a partition goes on, and how to recognise that it is still the same topic. */
typedef struct mtf_store_position {
    int32_t partition;
    int64_t next;         /* next offset to read */
    int64_t last;         /* offset of the last record taken, -1 for none */
    uint64_t last_hash;   /* XXH3-64 of its value */
    int64_t bad_in_a_row; /* records just before next that could not be used */
} mtf_store_position;

/** Cumulative: retention does not lower it. A session counts under its first step. */
typedef struct mtf_store_count {
    int64_t version;
    mtf_bucket bucket;
    int64_t rows, sessions, truncated, bytes;
    uint32_t day_first, day_last; /* UTC days of its rows */
} mtf_store_count;

/** Cumulative, of all versions. */
typedef struct mtf_store_totals {
    int64_t records; /* read from the source: sessions + duplicates + bad */
    int64_t sessions, rows, truncated, bytes;
    int64_t duplicates; /* sessions already stored */
    int64_t bad;        /* records that could not be used */
    int64_t lost;       /* offsets that were skipped by --accept-loss */
    int64_t expired;    /* rows deleted by retention */
    int64_t forgotten; /* rows deleted because their user asked: rows = now + expired + forgotten */
} mtf_store_totals;

/** The rows of a UTC day as they were put. sum of an entry: when it is whole. Every whole scan of a
 * day is held against it, so that a row that is lost or changed under RocksDB's own checksums is
 * found as well. */
typedef struct mtf_store_day {
    uint32_t day;
    int64_t rows;
    uint64_t sum; /* of the entries' XXH3-64, modulo 2^64 */
    bool changed; /* since the last commit */
} mtf_store_day;

/** What to do about a damaged store, for the end of an error. */
#define MTF_STORE_REMEDY                                                                           \
    "`mtf store restore` brings a backup back; without one move the folder away, and the learner " \
    "builds it anew from the topics"

/** Opens a store, or makes it unless read_only. identity NULL: as it is; then none is made.
 *  MTF_INVALID: there is none; or it was made for another shape, signals, actions, policy or
 *  cluster; says the way out. MTF_FENCED: another process has it open. MTF_IO: unreadable, or no
 * space. MTF_CORRUPT: damaged; names the file and the remedy. A log cut short by a crash is no
 * damage. */
mtf_status mtf_store_open(const char *path, const mtf_store_identity *identity, bool read_only,
                          mtf_store **store, mtf_err *err) MTF_NODISCARD;
/** Drops what was not committed. NULL is fine. */
void mtf_store_close(mtf_store *store);
const char *mtf_store_path(const mtf_store *store);
/** The rows' shape as stored. */
mtf_row_shape mtf_store_shape(const mtf_store *store);
/** The stored identity as "name: text" lines, valid until close. */
const char *mtf_store_identity_text(const mtf_store *store);
/** The names of the rows' signals in order, "valid watch ...", valid until close. */
mtf_str mtf_store_signals(const mtf_store *store);

/** Are rows stored, or in the open batch, whose first one of its session and day has this key? */
mtf_status mtf_store_has(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES], bool *has,
                         mtf_err *err) MTF_NODISCARD;
/** Adds to the open batch: a row, a position, totals. Rows of one session and day are put one after
 *  another, in the order of their steps: then they share an entry. MTF_NOMEM. */
mtf_status mtf_store_put_row(mtf_store *store, const uint8_t key[MTF_ROW_KEY_BYTES],
                             const mtf_row_header *header, mtf_span value,
                             mtf_err *err) MTF_NODISCARD;
mtf_status mtf_store_set_position(mtf_store *store, const mtf_store_position *position,
                                  mtf_err *err) MTF_NODISCARD;
/** The totals, open batch included; the caller adds to records, duplicates, bad and lost. */
mtf_store_totals *mtf_store_totals_of(mtf_store *store);
/** Makes the open batch durable. MTF_IO keeps nothing of it: reopen to go on. */
mtf_status mtf_store_commit(mtf_store *store, mtf_err *err) MTF_NODISCARD;
/** Rows in the open batch. */
size_t mtf_store_pending(const mtf_store *store);

/** Borrowed until the next call that changes the store; the open batch is included. */
const mtf_store_position *mtf_store_positions(const mtf_store *store, size_t *count);
const mtf_store_count *mtf_store_counts(const mtf_store *store, size_t *count);
const mtf_store_day *mtf_store_days(const mtf_store *store, size_t *count);
/** Rows there are now (open batch included) and bytes on disk. */
void mtf_store_live(const mtf_store *store, uint64_t *rows, uint64_t *bytes);

/** Deletes all rows of days before `day` and gives their disk space back; takes seconds per GB.
 *  Not with an open batch, and not while a round is under way: its rows would change. */
mtf_status mtf_store_forget_before(mtf_store *store, uint32_t day, mtf_err *err) MTF_NODISCARD;

/** Rewrites every file of rows, so that what was deleted or overwritten is gone from the disk;
 * takes seconds per GB, and as much disk again while it runs. Not with an open batch. */
mtf_status mtf_store_compact(mtf_store *store, mtf_err *err) MTF_NODISCARD;

/** What forgetting a user came to. */
typedef struct mtf_store_forgotten {
    int64_t rows, sessions;
} mtf_store_forgotten;

/** Deletes the rows of a user (mtf_row_header.user) and rewrites their files, so that the bytes are
 *  gone from them; a round under way starts its training again without them. dry_run: only counts.
 *  What was learned from them stays in the policies. Not with an open batch. */
mtf_status mtf_store_forget_user(mtf_store *store, uint64_t user, bool dry_run,
                                 mtf_store_forgotten *forgotten, mtf_err *err) MTF_NODISCARD;

/** A small value by name, synced. get appends; MTF_SKIP: there is none. */
mtf_status mtf_store_put_blob(mtf_store *store, const char *name, mtf_span value,
                              mtf_err *err) MTF_NODISCARD;
mtf_status mtf_store_get_blob(mtf_store *store, const char *name, mtf_buf *value,
                              mtf_err *err) MTF_NODISCARD;

/** Committed rows of [day_first, day_last] whose entry's 64-bit key hash lies in slice `slice` of
 *  `slices`, day by day, in hash order; those of an entry in the order of their steps. Close before
 * the store. NULL: out of memory. With one slice and no open batch, days are held against what was
 * put (mtf_store_day). */
mtf_store_cursor *mtf_store_scan(const mtf_store *store, uint32_t day_first, uint32_t day_last,
                                 uint32_t slice, uint32_t slices);
/** Borrowed until the next call. MTF_CLOSED at the end. MTF_CORRUPT: damaged, or rows of a day are
 *  not those that were put; the place and the remedy. */
mtf_status mtf_store_next(mtf_store_cursor *cursor, mtf_span *value, mtf_err *err) MTF_NODISCARD;
void mtf_store_cursor_close(mtf_store_cursor *cursor);
/** Reads what no scan does: the filters of every file, by a look-up in each. */
mtf_status mtf_store_check_files(const mtf_store *store, int64_t *files,
                                 mtf_err *err) MTF_NODISCARD;

#endif
